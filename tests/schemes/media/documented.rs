//! The commands of `docs/scale.md`, as the tests run them.

/// The line of its shell blocks that has `part`, without the comment at its end,
/// and with other words where the lab needs them.
#[track_caller]
pub(super) fn command(part: &str, replaced: &[(&str, &str)]) -> String {
    let text = include_str!("../../../docs/scale.md");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let blocks = blocks.filter_map(|block| block.strip_prefix("sh\n"));
    let mut lines = blocks.flat_map(str::lines);
    let line = lines.find(|line| line.contains(part));
    let line = line.unwrap_or_else(|| panic!("docs/scale.md has no command with {part}"));
    let mut line = line.split(" # ").next().unwrap_or(line).trim().to_owned();
    for (theirs, ours) in replaced {
        assert!(line.contains(theirs), "{line}: no {theirs}");
        line = line.replace(theirs, ours);
    }
    line
}

/// The same, of `gst-launch-1.0`: only the pipeline.
#[track_caller]
pub(super) fn pipeline(part: &str, replaced: &[(&str, &str)]) -> String {
    let line = command(part, replaced);
    let pipeline = line.strip_prefix("gst-launch-1.0 ");
    pipeline.unwrap_or_else(|| panic!("{line}")).to_owned()
}
