//! How long and how deep things may be.

use std::fs;

use syn::visit::{self, Visit};

use crate::source::{Source, assert_none, files, relative, root, sources};

const FILE: usize = 700;
const FUNCTION: usize = 80;
const DEPTH: usize = 5;
const EXEMPTION: &str = "// rules: long because ";

/// Everything that is Rust.
const ALL: [&str; 3] = ["src", "plugins", "tests"];

#[test]
fn files_are_short() {
    let mut breaches = Vec::new();
    let mut check = |path: String, text: &str| {
        let lines = text.lines().count();
        let exempt = text
            .lines()
            .take(10)
            .any(|line| line.starts_with(EXEMPTION));
        if lines > FILE && !exempt {
            breaches.push(format!("{path}: {lines} lines, {FILE} are allowed"));
        }
    };
    for source in sources(&ALL) {
        check(source.path.clone(), &source.text);
    }
    for extension in ["js", "css", "html", "sh"] {
        for folder in ["src", "plugins", "tests", "scripts", "pipelines"] {
            for path in files(&root().join(folder), extension) {
                check(relative(&path), &fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert_none(&breaches);
}

#[test]
fn functions_are_short_and_flat() {
    let mut breaches = Vec::new();
    for source in sources(&ALL) {
        let file = syn::parse_file(&source.text).unwrap_or_else(|e| panic!("{}: {e}", source.path));
        let mut functions = Functions {
            source: &source,
            breaches: &mut breaches,
        };
        functions.visit_file(&file);
    }
    assert_none(&breaches);
}

struct Functions<'a> {
    source: &'a Source,
    breaches: &'a mut Vec<String>,
}

impl Functions<'_> {
    fn check(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let (name, first) = (&signature.ident, signature.fn_token.span.start().line);
        let lines = body.brace_token.span.close().end().line - first + 1;
        let at = format!("{}:{first}: {name}", self.source.path);
        if lines > FUNCTION && !self.is_exempt(first) {
            self.breaches
                .push(format!("{at}: {lines} lines, {FUNCTION} are allowed"));
        }
        let mut depth = Depth::default();
        depth.visit_block(body);
        if depth.deepest > DEPTH {
            self.breaches.push(format!(
                "{at}: {} levels, {DEPTH} are allowed",
                depth.deepest
            ));
        }
    }

    /// Does the comment stand above it, among its documentation and attributes?
    fn is_exempt(&self, line: usize) -> bool {
        let above: Vec<_> = self
            .source
            .text
            .lines()
            .take(line - 1)
            .map(str::trim)
            .collect();
        let belongs = |line: &&&str| line.starts_with("//") || line.starts_with("#[");
        let mut above = above.iter().rev().take_while(belongs);
        above.any(|line| line.starts_with(EXEMPTION))
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.check(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.check(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let Some(body) = &function.default {
            self.check(&function.sig, body);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

/// How deep control flow is nested. `else if` is no deeper than its `if`.
#[derive(Default)]
struct Depth {
    now: usize,
    deepest: usize,
}

impl<'ast> Visit<'ast> for Depth {
    fn visit_expr(&mut self, expression: &'ast syn::Expr) {
        use syn::Expr;
        let nests = match expression {
            Expr::If(_) | Expr::Match(_) | Expr::ForLoop(_) | Expr::While(_) => true,
            Expr::Loop(_) | Expr::Async(_) | Expr::Unsafe(_) => true,
            Expr::Closure(closure) => matches!(*closure.body, Expr::Block(_)),
            _ => false,
        };
        self.now += usize::from(nests);
        self.deepest = self.deepest.max(self.now);
        visit::visit_expr(self, expression);
        self.now -= usize::from(nests);
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        self.visit_expr(&branch.cond);
        self.visit_block(&branch.then_branch);
        match branch.else_branch.as_ref().map(|(_, other)| &**other) {
            Some(syn::Expr::If(other)) => self.visit_expr_if(other),
            Some(other) => self.visit_expr(other),
            None => {}
        }
    }

    // Their own functions are measured for themselves.
    fn visit_item(&mut self, _: &'ast syn::Item) {}
}

#[test]
fn nothing_is_unwrapped_outside_of_tests() {
    let mut breaches = Vec::new();
    for source in sources(&["src", "plugins"]) {
        for pair in source.tokens().windows(2) {
            if pair[0].text == "." && pair[1].text == "unwrap" {
                let at = format!("{}:{}", source.path, pair[1].line);
                breaches.push(format!("{at}: unwrap(); say why it holds by expect()"));
            }
        }
    }
    assert_none(&breaches);
}
