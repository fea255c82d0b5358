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
