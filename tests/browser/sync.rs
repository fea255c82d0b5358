//! Sound and picture belong together: sender reports say when each was made.

use std::time::Duration;

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::{eventually, page};

use crate::scenes::{SMALL, SOUND, Stage};

/// Both estimates of when what is played now was made (NTP, in ms), if the
/// sender reports have come.
const PLAYOUT: &str = "
    const reports = [...(await labPeers[0].getStats()).values()];
    const of = kind => reports.find(r => r.type === 'inbound-rtp' && r.kind === kind)
                              ?.estimatedPlayoutTimestamp;
    return [of('audio') ?? null, of('video') ?? null, Date.now() + 2208988800000];";

#[test]
fn sound_and_picture_are_played_as_they_were_made() {
    let Some(stage) = Stage::new() else { return };
    let sink = stage.sink("");
    let mut publisher = stage.publish(&format!("{SMALL} ! {sink} {SOUND} ! cam."));
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&stage.idle_page());
    page::whep(&browser, &publisher.whep("cam"));
    let times = eventually(Duration::from_secs(15), "sender reports", || {
        let answer = page::ask(&browser, PLAYOUT, &[]);
        let times: Vec<f64> = answer
            .as_array()?
            .iter()
            .filter_map(|v| v.as_f64())
            .collect();
        (times.len() == 3).then_some(times)
    });
    let [sound, picture, now] = times[..] else {
        panic!("{times:?}")
    };
    assert!(
        (sound - picture).abs() < 150.0,
        "{} ms apart",
        sound - picture
    );
    assert!(
        (now - picture).abs() < 2_000.0,
        "{} ms from now",
        now - picture
    );
    publisher.assert_healthy();
}
