use super::super::{Offerer, Role};
use super::*;

fn options() -> Options {
    Options::new(Role::Publish, "rtcsink0")
}

fn error(registry: &Registry, uri: &str) -> String {
    registry.open(uri, &options()).err().expect("refused").0
}

#[test]
fn an_unknown_scheme_is_answered_with_those_there_are() {
    let registry = Registry::builtin();
    for uri in ["nonsense://x", "not a uri"] {
        let error = error(&registry, uri);
        assert!(
            error.contains("listen://127.0.0.1:8080/camera") && error.contains("memory"),
            "{error}"
        );
    }
}

#[test]
fn a_scheme_of_ones_own_can_be_added() {
    let mut registry = Registry::builtin();
    let capabilities = Capabilities {
        offerer: Offerer::Us,
        trickle_in: false,
        trickle_out: false,
    };
    registry.register("Mine", capabilities, |_, _| Err(OpenError("asked".into())));
    assert_eq!(error(&registry, "mine:x"), "asked");
    assert_eq!(registry.capabilities("mine"), Some(capabilities));
    assert!(error(&registry, "other:x").contains("mine"));
}

#[test]
fn the_uri_says_who_offers_in_memory() {
    let registry = Registry::builtin();
    for (uri, offerer) in [
        ("memory:a", Offerer::Them),
        ("memory://them-offer/a", Offerer::Them),
        ("memory://we-offer/a", Offerer::Us),
    ] {
        assert_eq!(
            registry
                .open(uri, &options())
                .unwrap()
                .capabilities()
                .offerer,
            offerer
        );
    }
    assert!(error(&registry, "memory://nobody-offers/a").contains("we-offer"));
}

/// The schemes in a cell of the documents: `` `a://x`, `b://…` ``.
fn schemes(cell: &str) -> Vec<&str> {
    let quoted = cell.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|uri| Some(uri.split_once(':')?.0))
        .collect()
}

#[test]
fn the_documents_say_what_each_scheme_can_do() {
    let registry = Registry::builtin();
    let text = include_str!("../../docs/signalling.md");
    let table = text.split("\n\n").find(|it| it.starts_with("| `uri` |"));
    let mut told = std::collections::BTreeSet::new();
    for row in table.expect("it has a table").lines().skip(2) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, uris, _, offerer, theirs, ours, _] = cells[..] else {
            panic!("{row}")
        };
        let one_by_one = |cell: &str| cell.contains("one by one");
        let capabilities = Capabilities {
            offerer: match offerer.split([',', ';', ' ']).next() {
                Some("they") => Offerer::Them,
                Some("we" | "the") => Offerer::Us,
                _ => panic!("{row}"),
            },
            trickle_in: one_by_one(theirs),
            trickle_out: one_by_one(ours),
        };
        for scheme in schemes(uris) {
            // A scheme's first row is what holds if nobody says otherwise.
            if told.insert(scheme)
                && let Some(real) = registry.capabilities(scheme)
            {
                assert_eq!(real, capabilities, "{row}");
            }
        }
    }
    let real = registry.rows.keys().map(String::as_str);
    let missing: Vec<_> = real.filter(|it| !told.contains(it)).collect();
    assert_eq!(missing, ["memory"], "it is for tests");
}
