//! A call, seen from the side that offers: which m-lines it has, and which way
//! media flow on each.
//!
//! webrtcbin before 1.24 cannot change the direction of an m-line. So to
//! webrtcbin each m-line of a call goes both ways for life, with a sender that is
//! fed or not. Only the wire tells what flows: our offers are written so, and the
//! far side's answers are read so. For the answering side see `reply`.

use sdp_types::{Direction, Media, Session};

use super::accept::accept_answer;
use super::codec::decodes;
use super::extension::Ways;
use super::matching::easiest;
use super::offered::{announced, direction, kind};
use super::receives::{MID_ID, TWCC_ID, parameters, payload_type};
use super::{
    AcceptedAnswer, Codec, CodecOffer, Kind, MediaPlan, Receives, SdpError, TrackOffer, parse,
    write,
};
use crate::message::Place;

/// The most m-lines for media that a call has.
pub const MAX_CALL_LINES: usize = 16;

/// The dynamic payload types that another stream of the same codec may take
/// (RFC 3551 section 6).
const MORE_TYPES: std::ops::RangeInclusive<u8> = 112..=126;

/// What flows on an m-line of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Index of the m-line in the descriptions that webrtcbin knows.
    pub mline: usize,
    /// Of what.
    pub kind: Kind,
    /// The index of our track that is sent on it.
    pub track: Option<usize>,
    /// Does the far side send on it?
    pub heard: bool,
    /// The streams (SSRCs) that it announces there.
    pub sources: Vec<u32>,
}

/// The m-lines of a call that we offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallLines {
    lines: Vec<Line>,
    /// Where the m-line for data channels stands, if there is one.
    data: Option<usize>,
    /// What the far side decodes, as far as it has said so.
    far: Option<Receives>,
    /// What we decode, best first.
    ours: Vec<Codec>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    plan: MediaPlan,
    /// What the present offer says of it, or the last one: the track that we
    /// would send. `None` for one that is in no offer yet.
    offered: Option<Option<usize>>,
    /// Has the far side rejected it? Then it stays so.
    rejected: bool,
    /// What flows, by the last answer.
    sent: Option<usize>,
    heard: bool,
    sources: Vec<u32>,
}

impl CallLines {
    /// What a call begins with: an m-line for each of `tracks` that the far side
    /// can take, and one for each kind of `receives` that no track is of, so that
    /// the far side can send it.
    pub fn new(
        tracks: &[TrackOffer],
        far: Option<&Receives>,
        receives: &[Codec],
        data: bool,
    ) -> Result<Self, SdpError> {
        let mut call = Self {
            lines: Vec::new(),
            data: None,
            far: far.cloned(),
            ours: receives.to_vec(),
        };
        call.place(tracks, &[]);
        for kind in [Kind::Video, Kind::Audio] {
            if !call.lines.iter().any(|line| line.plan.kind == kind) {
                call.make_room(&[Place { kind, codec: None }]);
            }
        }
        if call.lines.is_empty() {
            return Err(SdpError::Incompatible(
                "there is no codec that both sides of the call know".to_owned(),
            ));
        }
        if data && far.is_some_and(|it| it.data) {
            call.data = Some(call.lines.len());
        }
        call.begin();
        Ok(call)
    }

    /// An offer is to be made of what there is now.
    pub(crate) fn begin(&mut self) {
        for line in &mut self.lines {
            line.offered = Some(line.plan.track);
        }
    }

    /// The m-lines in their order, each with its index.
    pub fn media(&self) -> Vec<(usize, MediaPlan)> {
        let lines = self.lines.iter();
        lines.map(|it| (it.plan.mline, it.plan.clone())).collect()
    }

    /// Is there one for data channels?
    pub fn has_data(&self) -> bool {
        self.data.is_some()
    }

    /// What flows, as both sides have agreed.
    pub fn flows(&self) -> Vec<Flow> {
        let lines = self.lines.iter();
        let flow = |line: &Line| Flow {
            mline: line.plan.mline,
            kind: line.plan.kind,
            track: line.sent.filter(|it| line.plan.track == Some(*it)),
            heard: line.heard,
            sources: line.sources.clone(),
        };
        let there = |it: &&Line| it.offered.is_some() && !it.rejected;
        lines.filter(there).map(flow).collect()
    }

    /// Finds an m-line for each of `tracks` that has none yet, and takes those
    /// whose indices are in `gone` off theirs. Is there something to offer?
    pub fn place(&mut self, tracks: &[TrackOffer], gone: &[usize]) -> bool {
        let mut changed = false;
        for line in &mut self.lines {
            if line.plan.track.is_some_and(|it| gone.contains(&it)) {
                line.plan.track = None;
                changed = true;
            }
        }
        for (index, track) in tracks.iter().enumerate() {
            let placed = |line: &Line| line.plan.track == Some(index);
            if !gone.contains(&index) && !self.lines.iter().any(placed) {
                changed |= self.place_one(index, track);
            }
        }
        changed
    }

    fn place_one(&mut self, index: usize, track: &TrackOffer) -> bool {
        let mut idle = self.lines.iter_mut();
        if let Some(line) = idle.find(|line| line.takes(track)) {
            line.plan.track = Some(index);
            return true;
        }
        let taken = |it: &CodecOffer| Some((*it, self.taken(*it)?));
        let Some((codec, profile)) = track.codecs.iter().find_map(taken) else {
            return false;
        };
        self.push(Some(index), codec, profile.as_deref())
    }

    /// Adds m-lines on which the far side may send. What neither of us knows is
    /// left out, and so is what would be too much.
    pub fn make_room(&mut self, places: &[Place]) {
        for place in places {
            let named = |codec: &Codec| match &place.codec {
                Some(name) => codec.encoding_name().eq_ignore_ascii_case(name),
                None => true,
            };
            let of_kind = |codec: &&Codec| codec.kind() == place.kind && named(codec);
            // What everybody can write.
            let ours = self.ours.iter().filter(of_kind).map(|it| easiest(*it));
            let found = ours.filter_map(|it| Some((it, self.taken(it)?))).next();
            if let Some((codec, profile)) = found {
                self.push(None, codec, profile.as_deref());
            }
        }
    }

    /// How the far side calls what it decodes such a stream with; see
    /// [`Receives`].
    fn taken(&self, offer: CodecOffer) -> Option<Option<String>> {
        match &self.far {
            Some(far) => far.takes(offer).map(|it| it.map(str::to_owned)),
            None => Some(None),
        }
    }

    fn push(&mut self, track: Option<usize>, offer: CodecOffer, profile: Option<&str>) -> bool {
        if self.lines.len() >= MAX_CALL_LINES {
            return false;
        }
        let before = self.data.map_or(0, |_| 1);
        let mline = self.lines.len() + before;
        let kind = offer.codec.kind();
        let fmtp = parameters(offer, profile);
        let Some(payload_type) = self.payload_type(offer.codec, &fmtp) else {
            return false;
        };
        self.lines.push(Line {
            plan: MediaPlan {
                call: true,
                track,
                receives: self.ours.contains(&offer.codec),
                mline,
                mid: format!("{kind}{mline}"),
                kind,
                codec: offer.codec,
                payload_type,
                clock_rate: offer.codec.clock_rate(),
                rtx_payload_type: None,
                nack: kind == Kind::Video,
                fir: kind == Kind::Video,
                twcc: Some(TWCC_ID),
                mid_extension: Some(MID_ID),
                fmtp,
            },
            offered: None,
            rejected: false,
            sent: None,
            heard: false,
            sources: Vec::new(),
        });
        true
    }

    /// In one bundle, a payload type means one thing (RFC 9143 section 9.1).
    fn payload_type(&self, codec: Codec, fmtp: &[(String, String)]) -> Option<u8> {
        let plans = || self.lines.iter().map(|line| &line.plan);
        let same = |plan: &&MediaPlan| plan.codec == codec && plan.fmtp == fmtp;
        if let Some(plan) = plans().find(same) {
            return Some(plan.payload_type);
        }
        let free = |number: &u8| plans().all(|plan| plan.payload_type != *number);
        std::iter::once(payload_type(codec))
            .chain(MORE_TYPES)
            .find(free)
    }

    /// Our offer for the far side, made of the one that webrtcbin has made.
    pub(crate) fn offer(&self, made: &str) -> Result<String, SdpError> {
        let mut session = parse(made)?;
        for line in self.lines.iter().filter(|it| !it.rejected) {
            if let Some(track) = line.offered
                && let Some(media) = session.medias.get_mut(line.plan.mline)
            {
                let ways = Ways {
                    send: track.is_some(),
                    receive: line.plan.receives,
                };
                set_ways(media, ways);
            }
        }
        Ok(write(&session))
    }

    /// Takes the far side's `answer` to `offer`, as webrtcbin has made that.
    pub(crate) fn accept(&mut self, offer: &str, answer: &str) -> Result<AcceptedAnswer, SdpError> {
        let accepted = accept_answer(offer, answer)?;
        let mut session = parse(&accepted.mended)?;
        for line in &mut self.lines {
            let Some(track) = line.offered else { continue };
            let mline = line.plan.mline;
            let theirs = session.medias.get(mline);
            let alive = theirs.is_some_and(|it| it.port != 0);
            line.sources = theirs.map(announced).unwrap_or_default();
            let theirs = theirs.map(|it| answered(&session, it));
            let theirs = theirs.unwrap_or(Direction::Inactive);
            line.rejected |= !alive;
            line.sent = track.filter(|_| alive && theirs.has_recv());
            line.heard = alive && line.plan.receives && theirs.has_send();
            if let Some(media) = session.medias.get_mut(mline).filter(|_| alive) {
                set_direction(media, Direction::SendRecv);
            }
        }
        Ok(AcceptedAnswer {
            sending: self.heard(),
            mended: write(&session),
            ..accepted
        })
    }

    fn heard(&self) -> Vec<(usize, Kind)> {
        let heard = self.flows().into_iter().filter(|it| it.heard);
        heard.map(|it| (it.mline, it.kind)).collect()
    }
}

impl Line {
    /// Is there room on it for a track like that?
    fn takes(&self, track: &TrackOffer) -> bool {
        let plan = &self.plan;
        let profile = plan
            .fmtp
            .iter()
            .find(|(name, _)| name == "profile-level-id");
        let fits = |it: &CodecOffer| {
            let decoded = profile.is_none_or(|(_, id)| decodes(id, it.profile).is_some());
            it.codec == plan.codec && (it.codec != Codec::H264 || decoded)
        };
        plan.track.is_none()
            && !self.rejected
            && plan.kind == track.kind
            && track.codecs.iter().any(fits)
    }
}

/// What an m-line of the answer allows; of one that is no medium: nothing.
fn answered(session: &Session, media: &Media) -> Direction {
    kind(media).map_or(Direction::Inactive, |_| direction(session, media))
}

/// Writes what flows into an m-line of ours: its direction, and no streams where
/// none is sent.
pub(super) fn set_ways(media: &mut Media, ours: Ways) {
    set_direction(media, ours.answered());
    if !ours.send {
        let streams = ["ssrc", "ssrc-group", "msid"];
        let announces = |name: &str| streams.contains(&name);
        media.attributes.retain(|it| !announces(&it.attribute));
    }
}

fn set_direction(media: &mut Media, direction: Direction) {
    let is_direction = |name: &str| name.parse::<Direction>().is_ok();
    media
        .attributes
        .retain(|it| it.value.is_some() || !is_direction(&it.attribute));
    media.add_attribute(direction);
}
