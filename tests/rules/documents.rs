//! What the documents say is so.

use std::fs;
use std::path::Path;

use crate::source::{assert_none, root};

/// The folders in the README's map, as paths from the root.
fn map() -> Vec<String> {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let map = readme
        .split("\n## The map")
        .nth(1)
        .expect("README has its map");
    let map = map
        .split("```text\n")
        .nth(1)
        .and_then(|m| m.split("```").next());
    let mut paths = Vec::new();
    let mut above = String::new();
    for line in map.expect("the map is a text block").lines() {
        let indented = line.starts_with(' ');
        let Some(name) = line.split_whitespace().next() else {
            continue;
        };
        if indented {
            paths.push(format!("{above}{name}"));
        } else {
            above = name.to_owned();
            paths.push(name.to_owned());
        }
    }
    assert!(paths.len() > 10, "the map was not understood: {paths:?}");
    paths
}

/// The folders in a folder, but for what is built or hidden.
fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let ours = |name: &String| !name.starts_with('.') && name != "target";
    names.filter(ours).collect()
}

#[test]
fn the_map_shows_what_there_is() {
    let missing = map().into_iter().filter(|path| !root().join(path).exists());
    let missing: Vec<_> = missing
        .map(|path| format!("README's map: no {path}"))
        .collect();
    assert_none(&missing);
}

#[test]
fn the_map_shows_every_folder() {
    let map = map();
    let mut breaches = Vec::new();
    for parent in ["", "src/", "plugins/", "plugins/sigmund/src/"] {
        for name in folders(&root().join(parent)) {
            let path = format!("{parent}{name}/");
            let shown = map.iter().any(|shown| shown.starts_with(&path));
            if !shown {
                breaches.push(format!("README's map does not show {path}"));
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn every_tier_is_run_by_make() {
    let manifest = fs::read_to_string(root().join("tests/Cargo.toml")).unwrap();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let readme = fs::read_to_string(root().join("tests/README.md")).unwrap();
    let tiers = manifest
        .split("[[test]]")
        .skip(1)
        .filter_map(|tier| tier.split('"').nth(1));
    let mut breaches = Vec::new();
    for tier in tiers {
        if !makefile.contains(&format!("--test {tier}")) {
            breaches.push(format!("no verb of make runs the tier {tier}"));
        }
        if !readme.contains(&format!("`{tier}`")) {
            breaches.push(format!("tests/README.md does not explain the tier {tier}"));
        }
    }
    assert_none(&breaches);
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut breaches = Vec::new();
    for name in ["README.md", "CONTRIBUTING.md", "tests/README.md"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let here = root().join(name).parent().unwrap().to_owned();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let path = link.split('#').next().unwrap_or_default();
            let local = !path.is_empty() && !path.contains("://");
            if local && !here.join(path).exists() {
                breaches.push(format!("{name}: {link} leads nowhere"));
            }
        }
    }
    assert_none(&breaches);
}

/// Each row of the table of pitfalls names code that is there once, and a test.
#[test]
fn the_table_of_pitfalls_is_up_to_date() {
    let text = fs::read_to_string(root().join("tests/pitfalls.toml")).unwrap();
    let table: toml::Table = text.parse().unwrap();
    let rows = table["pitfall"].as_array().unwrap();
    assert!(rows.len() > 10, "{} rows", rows.len());
    let mut breaches = Vec::new();
    for row in rows {
        let of = |key: &str| row[key].as_str().unwrap();
        let code = fs::read_to_string(root().join(of("file"))).unwrap_or_default();
        if code.matches(of("with")).count() != 1 {
            breaches.push(format!(
                "{}: its code is not in {} once",
                of("name"),
                of("file")
            ));
        }
        let (tier, test) = (
            row["test"][0].as_str().unwrap(),
            row["test"][1].as_str().unwrap(),
        );
        let (module, function) = test.rsplit_once("::").unwrap();
        let module = module.replace("::", "/");
        let tests = fs::read_to_string(root().join(format!("tests/{tier}/{module}.rs")));
        if !tests
            .unwrap_or_default()
            .contains(&format!("fn {function}()"))
        {
            breaches.push(format!("{}: there is no test {tier} {test}", of("name")));
        }
    }
    assert_none(&breaches);
}
