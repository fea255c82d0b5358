//! The matrix as a picture (SVG), for `docs/networks.md`.

use std::fmt::Write;

use sigmund_tests::Nat;
use sigmund_tests::world::{Leg, Path};

use crate::matrix::Cell;

const WIDTH: usize = 104;
const HEIGHT: usize = 34;
const LEFT: usize = 150;
const TOP: usize = 64;

/// Publishers down, viewers across; a colour for each way that media go. The
/// same outcome is drawn the same, so that a change of the picture is one of
/// the outcome.
pub(crate) fn of_cells(cells: &[Cell]) -> String {
    let kinds = Nat::ALL;
    let (width, height) = (
        LEFT + kinds.len() * WIDTH + 10,
        TOP + kinds.len() * HEIGHT + 40,
    );
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>Paths between seven kinds of networks</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    let middle = LEFT + kinds.len() * WIDTH / 2;
    text(&mut svg, middle, 22, "middle", "the viewer's network");
    text(&mut svg, LEFT - 10, 48, "end", "the publisher's network");
    for (at, kind) in kinds.iter().enumerate() {
        let x = LEFT + at * WIDTH + WIDTH / 2;
        text(&mut svg, x, 48, "middle", kind.name());
        let y = TOP + at * HEIGHT + 21;
        text(&mut svg, LEFT - 10, y, "end", kind.name());
    }
    for (row, publisher) in kinds.iter().enumerate() {
        for (column, viewer) in kinds.iter().enumerate() {
            let this = |it: &&Cell| (it.publisher, it.viewer) == (*publisher, *viewer);
            let path = cells.iter().find(this).map(|it| &it.path);
            let (colour, label) = match path {
                Some(Ok(path)) => (colour(*path), path.to_string()),
                Some(Err(_)) => ("#e03131", "no picture".to_owned()),
                None => ("#ddd", "not tried".to_owned()),
            };
            let (x, y) = (LEFT + column * WIDTH, TOP + row * HEIGHT);
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\" rx=\"4\" fill=\"{colour}\"/>",
                WIDTH - 4,
                HEIGHT - 4
            );
            text(&mut svg, x + WIDTH / 2 - 2, y + 20, "middle", &label);
        }
    }
    let note = "direct: from router to router.  relay A/B: by the TURN server, which the \
         publisher reaches by A and the viewer by B.";
    text(
        &mut svg,
        LEFT,
        TOP + kinds.len() * HEIGHT + 24,
        "start",
        note,
    );
    svg.push_str("</svg>\n");
    svg
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>"
    );
}

/// The worse of both legs counts.
fn colour(path: Path) -> &'static str {
    let is = |leg| matches!(path, Path::Relay(one, other) if one == leg || other == leg);
    if is(Leg::Tls) {
        "#ffc9c9"
    } else if is(Leg::Tcp) {
        "#ffd8a8"
    } else if is(Leg::Udp) {
        "#fff3bf"
    } else {
        "#b2f2bb"
    }
}
