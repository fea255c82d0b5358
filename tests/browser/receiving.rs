//! `rtcsrc` receives what browsers send.

use std::time::{Duration, Instant};

use sigmund_tests::browser::{Browser, Kind};
use sigmund_tests::sight::Sight;
use sigmund_tests::{Publisher, eventually};

use crate::scenes::{SOON, Stage};

/// A pipeline that waits for a browser with a camera.
struct Studio {
    receiver: Publisher,
    browser: Browser,
    stage: Stage,
}

impl Studio {
    fn new(kind: Kind) -> Option<Self> {
        let stage = Stage::new()?;
        let receiver = receive(&stage);
        let origin = format!("http://{}:8080", stage.server.address());
        let browser = Browser::with_camera(&stage.viewer, kind, &origin);
        Some(Self {
            receiver,
            browser,
            stage,
        })
    }

    fn click(&self, what: &str) {
        let script = "document.querySelector(args[0]).click();";
        self.browser.ask(script, &[what.into()]);
    }

    #[track_caller]
    fn await_state(&self, state: &str) {
        eventually(SOON * 2, &format!("the page is {state}"), || {
            let now = self.browser.ask("return document.body.dataset.state;", &[]);
            (now == state).then_some(())
        });
    }

    /// Sends the camera by WHIP, without the page. What the browser sends is
    /// in `sent`.
    fn send_by_whip(&self) {
        let origin = format!("http://{}:8080", self.stage.server.address());
        self.browser.open(&format!("{origin}/style.css"));
        let script = "const stream = await navigator.mediaDevices.getUserMedia({
                audio: true, video: { width: 640, height: 480, frameRate: 30 } });
            const pc = window.pc = new RTCPeerConnection();
            for (const track of stream.getTracks()) {
                pc.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
            }
            await pc.setLocalDescription();
            const gathered = () => pc.iceGatheringState === 'complete';
            while (!gathered()) await new Promise((done) => setTimeout(done, 20));
            const response = await fetch('/whip/cam', { method: 'POST',
                headers: { 'content-type': 'application/sdp' },
                body: pc.localDescription.sdp });
            if (response.status !== 201) throw new Error(await response.text());
            window.resource = response.headers.get('location');
            await pc.setRemoteDescription({ type: 'answer', sdp: await response.text() });";
        self.browser.ask(script, &[]);
    }

    /// A moving picture of the size that the browser sends, which is `least` or
    /// more, at its pace, and sound.
    #[track_caller]
    fn assert_received(&mut self, least: (u32, u32)) {
        let before = eventually(SOON * 2, "pictures and sound", || {
            let sight = self.receiver.look("look");
            let sound = self.receiver.look("look-sound");
            (sight.buffers > 30 && sound.loudest > 0.01).then_some(sight)
        });
        hears_its_tone(&mut self.receiver, &self.browser);
        let start = Instant::now();
        eventually(SOON, "two seconds", || {
            (start.elapsed() > Duration::from_secs(2)).then_some(())
        });
        let after = self.receiver.look("look");
        let seconds = start.elapsed().as_secs_f64();
        let rate = |count: fn(&Sight) -> u64| (count(&after) - count(&before)) as f64 / seconds;
        let (frames, moved) = (rate(|it| it.buffers), rate(|it| it.moved));
        eprintln!(
            "{frames:.1} frames/s, {moved:.1} of them new: {:?}",
            after.caps
        );
        assert!((10.0..40.0).contains(&frames), "{frames} frames/s");
        assert!(moved > 5.0, "{moved} new pictures/s");
        eventually(SOON, "pictures of the size that is sent", || {
            let (width, height) = sent_size(&self.browser);
            let caps = self.receiver.look("look").caps.pop().unwrap();
            let sized = format!("width=(int){width}, height=(int){height}");
            (caps.contains(&sized) && width >= least.0 && height >= least.1).then_some(())
        });
        self.receiver.assert_healthy();
    }
}

/// What comes out has the pitch of the browser's microphone that is none.
#[track_caller]
pub(crate) fn hears_its_tone(pipeline: &mut Publisher, browser: &Browser) {
    let wanted = browser.tone();
    eventually(SOON * 2, &format!("a tone of {wanted} Hz"), || {
        let heard = pipeline.look("look-sound").tone()?;
        eprintln!("{heard} Hz");
        ((heard - wanted).abs() < 30.0).then_some(())
    });
}

/// Pictures and sound, raw, behind the embedded server.
fn receive(stage: &Stage) -> Publisher {
    let address = stage.server.address();
    Publisher::start(
        &stage.server,
        &format!(
            "rtcsrc name=src uri=listen://{address}:8080/cam allow-anonymous=true \
             src. ! videoconvert ! video/x-raw,format=I420 ! identity name=look ! fakesink \
             sync=true src. ! audioconvert ! audio/x-raw,format=S16LE ! \
             identity name=look-sound ! fakesink sync=true"
        ),
    )
}

/// The size of the pictures that the browser sends at present: less than what
/// its camera gives, as long as it does not trust the network.
fn sent_size(browser: &Browser) -> (u32, u32) {
    let script = "const pc = window.pc ?? sigmund.studio.session.pc;
        const all = [...(await pc.getStats()).values()];
        const sent = all.find((it) => it.type === 'outbound-rtp' && it.kind === 'video');
        return [sent?.frameWidth ?? 0, sent?.frameHeight ?? 0];";
    let size = browser.ask(script, &[]);
    let side = |index: usize| u32::try_from(size[index].as_u64().unwrap()).unwrap();
    (side(0), side(1))
}

/// By the page's view that sends, twice.
fn a_camera_is_received_by_the_page(kind: Kind) {
    let Some(mut it) = Studio::new(kind) else {
        return;
    };
    let address = it.receiver.get("src", "address");
    it.browser.open(address.as_str().unwrap());
    it.await_state("choosing");
    it.click("[data-source=camera]");
    it.await_state("ready");
    it.click("#go");
    it.await_state("playing");
    it.assert_received((320, 180));

    it.click("#stop");
    it.await_state("ready");
    let before = it.receiver.look("look");
    it.click("#go");
    it.await_state("playing");
    eventually(SOON, "it goes on", || {
        (it.receiver.look("look").buffers > before.buffers + 30).then_some(())
    });
    let after = it.receiver.look("look");
    assert_eq!((after.starts, after.ended), (1, false));
    it.receiver.assert_healthy();
}

#[test]
fn the_page_in_chromium_sends_to_a_pipeline() {
    a_camera_is_received_by_the_page(Kind::Chromium);
}

#[test]
fn the_page_in_firefox_sends_to_a_pipeline() {
    a_camera_is_received_by_the_page(Kind::Firefox);
}

#[test]
fn chromium_sends_to_a_pipeline_by_whip() {
    by_whip(Kind::Chromium);
}

#[test]
fn firefox_sends_to_a_pipeline_by_whip() {
    by_whip(Kind::Firefox);
}

fn by_whip(kind: Kind) {
    let Some(mut it) = Studio::new(kind) else {
        return;
    };
    it.send_by_whip();
    it.assert_received((320, 240));
    // DELETE ends the session; the place is free for the next one.
    let script = "const gone = await fetch(window.resource, { method: 'DELETE' });
        pc.close();
        return gone.status;";
    let status = it.browser.ask(script, &[]);
    assert_eq!(status, 200);
    eventually(SOON, "it is told of", || {
        it.receiver.emissions("peer-removed").pop()
    });
    let before = it.receiver.look("look").buffers;
    it.send_by_whip();
    eventually(SOON, "it goes on", || {
        (it.receiver.look("look").buffers > before + 30).then_some(())
    });
    it.receiver.assert_healthy();
}
