//! WHEP in browsers: where the address says so, and where no WebSocket gets
//! through.

use serde_json::json;
use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::web::host_page;
use sigmund_tests::{Publisher, Relay, eventually, page};

use crate::scenes::{SMALL, SOON, Stage, assert_content};

#[test]
fn an_address_of_whep_is_watched_by_whep() {
    let Some(stage) = Stage::new() else { return };
    let server = format!("http://{}:8080", stage.server.address());
    let html = format!(
        "<!doctype html><title>WHEP</title>
         <script type=module src={server}/sigmund.js></script>
         <rtc-stream src=whep+{server}/whep/cam autoplay muted></rtc-stream>"
    );
    let foreign = host_page(&stage.viewer, &html);
    let origin = foreign.trim_end_matches('/');
    let mut publisher = stage.publish(&format!(
        "{SMALL} ! {}",
        stage.sink(&format!("allowed-origins={origin}"))
    ));
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&foreign);
    eventually(SOON * 2, "the stream is live", || {
        let script = "return document.querySelector('rtc-stream').state;";
        (browser.ask(script, &[]) == "live").then_some(())
    });
    assert!(page::stamps(&browser, 2).distinct() >= 20);
    assert_eq!(publisher.emissions("peer-added")[0][1]["protocol"], "whep");
    // Taken out of the page, it says goodbye by DELETE.
    browser.ask("document.querySelector('rtc-stream').remove();", &[]);
    eventually(SOON, "it has left", || {
        (publisher.emissions("peer-removed").len() == 1).then_some(())
    });
    publisher.assert_healthy();
}

#[test]
fn the_page_goes_on_by_whep_where_no_websocket_gets_through() {
    let Some(stage) = Stage::new() else { return };
    let relay = Relay::start(&stage.server, &["--anonymous", "all"]);
    let browser = Browser::start(&stage.viewer, Kind::Chromium);
    browser.open(&format!("{}/", relay.origin()));
    // As behind a proxy that knows nothing of them; one may be open already.
    browser.ask(
        "globalThis.broken = 0;
         WebSocket.prototype.send = function () { broken += 1; this.close(); };",
        &[],
    );
    let pipeline = format!("{SMALL} ! rtcsink name=cam uri={}", relay.uri("cam"));
    let mut publisher = Publisher::start(&stage.server, &pipeline);
    // It may say in between that no server answers.
    eventually(SOON * 2, "the page plays", || {
        let script = "return document.body.dataset.state;";
        (browser.ask(script, &[]) == "playing").then_some(())
    });
    assert!(page::stamps(&browser, 2).distinct() >= 20);
    assert_eq!(publisher.emissions("peer-added")[0][1]["protocol"], "whep");
    assert_ne!(browser.ask("return broken;", &[]), json!(0));
    assert_content(&browser);
    publisher.assert_healthy();
}
