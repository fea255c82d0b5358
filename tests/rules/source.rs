//! The source, read once for all rules.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{env, fs};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A file of Rust.
pub(crate) struct Source {
    /// Where it lies, seen from the root.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Is all of it test code?
    pub(crate) fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || name == "tests.rs"
            || name.ends_with("_tests.rs")
            || self.is_declared_for_tests()
    }

    /// Does the module above say `#[cfg(test)] mod THIS;`?
    fn is_declared_for_tests(&self) -> bool {
        let path = root().join(&self.path);
        let (Some(stem), Some(folder)) = (path.file_stem(), path.parent()) else {
            return false;
        };
        let declaration = format!("mod {};", stem.to_string_lossy());
        let above = [
            folder.join("mod.rs"),
            folder.join("lib.rs"),
            folder.with_extension("rs"),
        ];
        let above = above
            .iter()
            .filter_map(|path| fs::read_to_string(path).ok());
        above.into_iter().any(|text| {
            let lines: Vec<_> = text.lines().map(str::trim).collect();
            let declared =
                |pair: &[&str]| pair[0] == "#[cfg(test)]" && pair[1].ends_with(&declaration);
            lines.windows(2).any(declared)
        })
    }

    /// The tokens of its code, tests left out, with their lines; comments and
    /// the text of documentation are no tokens here.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let mut tokens = Vec::new();
        if !self.is_test() {
            let stream = TokenStream::from_str(&self.text);
            let stream = stream.unwrap_or_else(|e| panic!("{}: {e}", self.path));
            flatten(stream, &mut tokens);
        }
        tokens
    }
}

/// A word, a sign, or a literal.
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// All Rust below the given folders of the root.
pub(crate) fn sources(folders: &[&str]) -> Vec<Source> {
    let mut sources = Vec::new();
    for folder in folders {
        for path in files(&root().join(folder), "rs") {
            sources.push(Source {
                text: fs::read_to_string(&path).unwrap(),
                path: relative(&path),
            });
        }
    }
    assert!(!sources.is_empty(), "no source below {folders:?}");
    sources
}

/// All files of that extension below a folder.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(root())
        .unwrap_or(path)
        .display()
        .to_string()
}

/// Panics with all breaches of a rule, one a line.
#[track_caller]
pub(crate) fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        // `#[…]`: attributes, which hold the documentation and `cfg(test)`.
        if is_sign(&tree, '#') {
            let inner = trees.next_if(|next| is_sign(next, '!')).is_some();
            let Some(TokenTree::Group(attribute)) = trees.next() else {
                continue;
            };
            let attribute = attribute.stream().to_string().replace(' ', "");
            if !inner && attribute.starts_with("cfg(test") {
                skip_item(&mut trees);
            }
            continue;
        }
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => flatten(group.stream(), tokens),
            other => tokens.push(Token {
                text: other.to_string(),
                line,
            }),
        }
    }
}

/// Skips to the end of an item: its braces, or its semicolon.
fn skip_item(trees: &mut impl Iterator<Item = TokenTree>) {
    for tree in trees {
        let braces = matches!(&tree, TokenTree::Group(g) if g.delimiter() == Delimiter::Brace);
        if braces || is_sign(&tree, ';') {
            return;
        }
    }
}

fn is_sign(tree: &TokenTree, sign: char) -> bool {
    matches!(tree, TokenTree::Punct(p) if p.as_char() == sign)
}
