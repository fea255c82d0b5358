//! Two callers, each with a webrtcbin that does what the real one can: m-lines
//! are added, and never change their direction.

use proptest::prelude::*;

use super::*;
use crate::message::Place;
use crate::sdp::tests::webrtcbin_offer;
use crate::sdp::{CallLines, Codec, CodecOffer, Flow, Kind, MediaPlan, Receives, TrackOffer};

const CODECS: [Codec; 2] = [Codec::Vp8, Codec::Opus];

fn track(kind: Kind) -> TrackOffer {
    let codec = match kind {
        Video => Codec::Vp8,
        Audio => Codec::Opus,
    };
    TrackOffer {
        kind,
        codecs: vec![CodecOffer {
            codec,
            profile: None,
        }],
    }
}

fn plans(lines: Vec<(usize, MediaPlan)>) -> Vec<MediaPlan> {
    lines.into_iter().map(|(_, plan)| plan).collect()
}

/// A caller and its owner.
struct Caller {
    bench: Bench,
    tracks: Vec<TrackOffer>,
    gone: Vec<usize>,
    media: Vec<MediaPlan>,
    /// What flows, as the owner was told.
    flows: Vec<Flow>,
    /// How often it was told.
    told: usize,
    offers: usize,
}

impl Caller {
    fn new(offers: bool, tracks: Vec<TrackOffer>) -> Self {
        let far = Receives::from(&CODECS[..]);
        let lines = CallLines::new(&tracks, Some(&far), &CODECS, false).unwrap();
        let media = if offers {
            plans(lines.media())
        } else {
            Vec::new()
        };
        let config = Config {
            call: true,
            lines: offers.then_some(lines),
            side: match offers {
                true => Side::Offerer,
                false => Side::Answerer {
                    tracks: tracks.clone(),
                    receives: CODECS.to_vec(),
                    data: false,
                },
            },
            ..trickling(Config::default())
        };
        Self {
            bench: Bench::new(config),
            tracks,
            gone: Vec::new(),
            media,
            flows: Vec::new(),
            told: 0,
            offers: 0,
        }
    }

    fn bring(&mut self, kind: Kind) {
        self.tracks.push(track(kind));
        self.tell();
    }

    fn take_away(&mut self, index: usize) {
        self.gone.push(index);
        self.tell();
    }

    fn tell(&mut self) {
        let now = self.bench.now;
        self.bench.session.set_tracks(now, &self.tracks, &self.gone);
    }

    /// Adds m-lines; those that are there stay what they are.
    fn adapt(&mut self, media: Vec<MediaPlan>) {
        for (before, now) in self.media.iter().zip(&media) {
            let fixed = |it: &MediaPlan| (it.kind, it.codec, it.payload_type, it.mid.clone());
            assert_eq!(fixed(before), fixed(now));
        }
        assert!(media.len() >= self.media.len());
        self.media = media;
    }

    /// Does what it is told; what it says to the other.
    fn carry_out(&mut self, action: Action) -> Option<Message> {
        let event = match action {
            Action::Prepare(plan) => {
                self.adapt(plan.media.clone());
                ConnectionEvent::Prepared
            }
            Action::Adapt(media) => {
                self.adapt(plans(media));
                ConnectionEvent::Prepared
            }
            Action::SetRemote { sdp, .. } => {
                let ways = sdp.matches("a=sendrecv").count();
                assert_eq!(ways, self.media.len(), "{sdp}");
                ConnectionEvent::RemoteSet
            }
            Action::CreateOffer => ConnectionEvent::Created(webrtcbin_offer(&self.media)),
            Action::CreateAnswer => {
                let plan = self.bench.session.plan.as_ref().unwrap();
                ConnectionEvent::Created(webrtcbin_answer(plan))
            }
            Action::SetLocal { .. } => ConnectionEvent::LocalSet,
            Action::Send(message) => {
                self.offers += usize::from(matches!(message, Message::Offer { .. }));
                return Some(message);
            }
            Action::StartMedia | Action::Rewire => {
                self.flows = self.bench.session.flows();
                self.told += 1;
                return None;
            }
            other => panic!("{other:?}"),
        };
        let now = self.bench.now;
        self.bench.session.handle_connection(now, event);
        None
    }
}

/// They are wired in memory: what is said arrives later, in order.
struct Conversation {
    callers: [Caller; 2],
    wires: [VecDeque<Message>; 2],
}

impl Conversation {
    /// It has come about.
    fn new(ours: &[Kind], theirs: &[Kind]) -> Self {
        let tracks = |kinds: &[Kind]| kinds.iter().map(|kind| track(*kind)).collect();
        let mut it = Self {
            callers: [
                Caller::new(true, tracks(ours)),
                Caller::new(false, tracks(theirs)),
            ],
            wires: Default::default(),
        };
        it.run();
        for caller in &mut it.callers {
            for event in [
                ConnectionEvent::IdentityProven,
                ConnectionEvent::DtlsConnected,
            ] {
                let now = caller.bench.now;
                caller.bench.session.handle_connection(now, event);
            }
        }
        it.run();
        it
    }

    /// One caller does one thing. Is there more?
    fn step(&mut self, side: usize) -> bool {
        let caller = &mut self.callers[side];
        if let Some(action) = caller.bench.session.poll_action() {
            let said = caller.carry_out(action);
            self.wires[1 - side].extend(said);
            return true;
        }
        let Some(message) = self.wires[side].pop_front() else {
            return false;
        };
        let now = caller.bench.now;
        caller.bench.session.handle_message(now, message);
        true
    }

    fn run(&mut self) {
        while self.step(0) | self.step(1) {}
    }

    /// Both agree on what flows, and all of it flows.
    fn assert_settled(&self) {
        let [one, other] = &self.callers;
        assert_eq!(
            [one, other].map(|it| it.bench.phase()),
            [Phase::Connected; 2]
        );
        for (ours, theirs) in [(one, other), (other, one)] {
            let sent: Vec<_> = ours.flows.iter().filter_map(|it| it.track).collect();
            let heard = theirs.flows.iter().filter(|it| it.heard).count();
            assert_eq!(sent.len(), heard);
            for index in 0..ours.tracks.len() {
                assert_eq!(
                    sent.contains(&index),
                    !ours.gone.contains(&index),
                    "{index}"
                );
            }
            assert_eq!(ours.flows, ours.bench.session.flows());
            assert_eq!(ours.bench.session.poll_timeout(), None);
        }
    }
}

use Kind::{Audio, Video};

#[test]
fn a_call_begins_with_one_exchange() {
    let call = Conversation::new(&[Video, Audio], &[Video, Audio]);
    call.assert_settled();
    assert_eq!(call.callers[0].media.len(), 2);
    assert_eq!(call.callers[0].offers, 1);
}

#[test]
fn a_track_that_comes_later_takes_the_place_that_is_there() {
    for side in [0, 1] {
        let mut call = Conversation::new(&[Video], &[Video]);
        call.assert_settled();
        call.callers[side].bring(Audio);
        call.run();
        call.assert_settled();
        assert_eq!(call.callers[0].media.len(), 2);
        assert_eq!(call.callers[0].offers, 2);
    }
}

#[test]
fn a_second_track_of_a_kind_is_given_room() {
    for side in [0, 1] {
        let mut call = Conversation::new(&[Video], &[Video]);
        call.callers[side].bring(Video);
        call.run();
        call.assert_settled();
        assert_eq!(call.callers[0].media.len(), 3);
        assert_eq!(call.callers[0].offers, 2);
    }
}

#[test]
fn a_guest_that_brings_more_than_was_offered_asks_at_once() {
    let call = Conversation::new(&[Video], &[Video, Audio, Video]);
    call.assert_settled();
    assert_eq!(call.callers[0].offers, 2);
}

#[test]
fn both_may_want_something_at_the_same_time() {
    let mut call = Conversation::new(&[Video], &[]);
    call.callers[0].bring(Audio);
    call.callers[1].bring(Audio);
    call.callers[1].bring(Video);
    call.callers[0].bring(Video);
    call.run();
    call.assert_settled();
    call.callers[0].take_away(0);
    call.callers[1].take_away(1);
    call.run();
    call.assert_settled();
    assert_eq!(call.callers[0].media.len(), 3);
}

#[test]
fn there_is_one_exchange_at_a_time() {
    let mut call = Conversation::new(&[Video], &[Video]);
    let offerer = &mut call.callers[0].bench;
    let wish = || Message::PleaseOffer {
        add: vec![Place {
            kind: Audio,
            codec: None,
        }],
    };
    assert!(matches!(offerer.hear(wish())[..], [Action::Adapt(_)]));
    assert_eq!(offerer.hear(wish()), []);
    assert_eq!(
        offerer.report(ConnectionEvent::Prepared),
        [Action::CreateOffer]
    );
    assert_eq!(offerer.hear(wish()), []);
}

#[test]
fn who_does_not_answer_in_time_ends_the_session() {
    let mut call = Conversation::new(&[Video], &[Video]);
    call.callers[0].bring(Video);
    while call.step(0) {}
    let offerer = &mut call.callers[0].bench;
    offerer.wait(milliseconds(15_000));
    assert!(matches!(ended(offerer.actions()), EndReason::TimedOut(..)));
}

#[test]
fn what_is_out_of_turn_ends_the_session() {
    let offer = |call: &Conversation| {
        let lines = call.callers[0].bench.session.call.as_ref();
        let lines = lines.unwrap().lines().unwrap();
        let sdp = lines
            .offer(&webrtcbin_offer(&plans(lines.media())))
            .unwrap();
        Message::Offer { sdp }
    };
    let call = || Conversation::new(&[Video], &[Video]);
    // The offer is the other side's to make.
    let mut host = call();
    let stray = offer(&host);
    let reason = ended(host.callers[0].bench.hear(stray));
    assert!(matches!(reason, EndReason::Misbehaved(_)), "{reason}");
    // Two offers at once.
    let mut guest = call();
    let twice = [offer(&guest), offer(&guest)];
    let bench = &mut guest.callers[1].bench;
    let [first, second] = twice;
    assert!(matches!(bench.hear(first)[..], [Action::Adapt(_)]));
    let reason = ended(bench.hear(second));
    assert!(matches!(reason, EndReason::Misbehaved(_)), "{reason}");
    // Another certificate.
    let mut guest = call();
    let Message::Offer { sdp } = offer(&guest) else {
        unreachable!()
    };
    let sdp = sdp.replace("EF:EF", "01:02");
    let reason = ended(guest.callers[1].bench.hear(Message::Offer { sdp }));
    assert!(matches!(reason, EndReason::Misbehaved(_)), "{reason}");
    // Another path: that takes another connection.
    let mut guest = call();
    let Message::Offer { sdp } = offer(&guest) else {
        unreachable!()
    };
    let sdp = sdp.replace("theirufrag", "otherufrag");
    let reason = ended(guest.callers[1].bench.hear(Message::Offer { sdp }));
    assert_eq!(reason, EndReason::NoPath);
    // An answer that nobody has asked for.
    let mut host = call();
    let reason = ended(host.callers[0].bench.hear(answer()));
    assert!(matches!(reason, EndReason::Misbehaved(_)), "{reason}");
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Bring(usize, Kind),
    TakeAway(usize, usize),
    Step(usize),
}

fn deed() -> impl Strategy<Value = Deed> {
    let kind = prop_oneof![Just(Audio), Just(Video)];
    prop_oneof![
        (0..2usize, kind).prop_map(|(side, kind)| Deed::Bring(side, kind)),
        (0..2usize, 0..6usize).prop_map(|(side, index)| Deed::TakeAway(side, index)),
        (0..2usize).prop_map(Deed::Step),
        (0..2usize).prop_map(Deed::Step),
        (0..2usize).prop_map(Deed::Step),
    ]
}

proptest! {
    #[test]
    fn whatever_they_bring_and_take_away_they_agree_in_the_end(
        deeds in proptest::collection::vec(deed(), 0..60)
    ) {
        let mut call = Conversation::new(&[Video], &[Audio]);
        for deed in deeds {
            match deed {
                Deed::Bring(side, kind) if call.callers[side].tracks.len() < 6 => {
                    call.callers[side].bring(kind);
                }
                Deed::TakeAway(side, index) => {
                    let caller = &mut call.callers[side];
                    if index < caller.tracks.len() && !caller.gone.contains(&index) {
                        caller.take_away(index);
                    }
                }
                Deed::Bring(..) => (),
                Deed::Step(side) => drop(call.step(side)),
            }
        }
        call.run();
        call.assert_settled();
    }
}
