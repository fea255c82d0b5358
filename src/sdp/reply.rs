//! A call, seen from the side that answers: which m-lines of the offer are
//! taken, in the first exchange and in those that follow.
//!
//! What webrtcbin has seen once stays as it was: the m-lines in their order, each
//! with its codec, and each both ways (see `call`). What the far side has changed
//! is in the answer alone.

use super::extension::{Extension, Ids};
use super::matching::{Match, check_muxed, easiest, nothing_in_common};
use super::offer::{Taken, plan_line};
use super::offered::{Line, Offered};
use super::{
    Codec, Flow, MAX_CALL_LINES, MediaPlan, OfferPlan, SdpError, TrackOffer, malformed, parse,
};

/// What we bring to a call.
#[derive(Clone, Copy, Debug)]
pub struct Brings<'a> {
    /// All tracks, those that are gone, too.
    pub tracks: &'a [TrackOffer],
    /// The indices of those that are gone.
    pub gone: &'a [usize],
    /// What we decode, best first.
    pub receives: &'a [Codec],
    /// Do we take data channels?
    pub data: bool,
}

impl OfferPlan {
    /// Decides how to answer an offer in a call; `before` is the plan for the
    /// offer before, if this is not the first.
    ///
    /// An m-line is taken if there is a codec for it, even if nothing flows on it
    /// now: later, something may.
    pub fn reply(
        text: &str,
        brings: Brings<'_>,
        before: Option<&OfferPlan>,
    ) -> Result<Self, SdpError> {
        let session = parse(text)?;
        let offered = Offered::read(&session)?;
        let wants_data = brings.data && before.is_none_or(|it| it.data.is_some());
        let data = wants_data.then(|| offered.data()).flatten();
        let data_before = before.filter(|it| it.data.is_some());
        if data.is_none() && data_before.is_some() {
            return Err(malformed("the m-line of the data channels is gone"));
        }
        let found = find(&offered.lines, brings, before)?;
        let (media, extensions) = plan(&offered, &found, before);
        let kept = |index: usize| before.and_then(|it| it.original.profiles.get(index));
        let profile = |(index, it)| kept(index).cloned().unwrap_or_else(|| offered.profile(it));
        let profiles = media.iter().enumerate().map(profile).collect();
        let taken = Taken {
            data_at: data_before.map_or(media.len(), |it| it.original.data_at),
            media,
            extensions,
            profiles,
            data,
            open: found.iter().map(|it| it.open).collect(),
            dead: dead(&found),
        };
        taken.plan(offered)
    }

    /// What flows on the m-lines of a call.
    pub fn flows(&self) -> Vec<Flow> {
        let dead = &self.original.dead;
        let alive = self.media.iter().enumerate();
        let alive = alive.filter(|(_, plan)| !dead.contains(&plan.mline));
        let flow = |(index, plan): (usize, &MediaPlan)| Flow {
            mline: self.narrowed_index(index),
            kind: plan.kind,
            track: plan.track,
            heard: plan.receives,
            sources: self
                .original
                .sources
                .get(index)
                .cloned()
                .unwrap_or_default(),
        };
        alive.map(flow).collect()
    }

    /// The m-lines on which we receive, by their index in the narrowed offer.
    pub(crate) fn heard_in_call(&self) -> Vec<(usize, super::Kind)> {
        let heard = self.flows().into_iter().filter(|it| it.heard);
        heard.map(|it| (it.mline, it.kind)).collect()
    }

    /// The m-lines of a call, each with its index in the narrowed offer.
    pub fn lines(&self) -> Vec<(usize, MediaPlan)> {
        let media = self.media.iter().enumerate();
        media
            .map(|(index, it)| (self.narrowed_index(index), it.clone()))
            .collect()
    }

    /// Where the m-line of `media[index]` stands in the narrowed offer.
    fn narrowed_index(&self, index: usize) -> usize {
        let behind = self.data.is_some() && index >= self.original.data_at;
        index + usize::from(behind)
    }

    /// Could another answer to this very offer have `track` on one of its m-lines?
    pub fn has_room_for(&self, track: &TrackOffer) -> bool {
        let lines = self.media.iter().zip(&self.original.open);
        let mut idle = lines.filter(|(plan, open)| plan.track.is_none() && **open);
        idle.any(|(plan, _)| {
            let of_codec = |it: &super::CodecOffer| it.codec == plan.codec;
            plan.kind == track.kind && track.codecs.iter().any(of_codec)
        })
    }
}

/// An m-line that is taken, or was.
struct Found {
    /// What flows on it.
    taken: Match,
    /// Does the far side want to receive on it?
    open: bool,
    /// The far side has given it up.
    dead: bool,
}

fn dead(found: &[Found]) -> Vec<usize> {
    let dead = found.iter().filter(|it| it.dead);
    dead.map(|it| it.taken.mline).collect()
}

/// Those of before in their order, then new ones.
fn find(
    lines: &[Line<'_>],
    brings: Brings<'_>,
    before: Option<&OfferPlan>,
) -> Result<Vec<Found>, SdpError> {
    let mut found = Vec::new();
    for plan in before.into_iter().flat_map(|it| &it.media) {
        found.push(again(lines, brings, plan)?);
    }
    for (index, track) in brings.tracks.iter().enumerate() {
        let placed = |it: &Found| it.taken.track == Some(index);
        if !brings.gone.contains(&index) && !found.iter().any(placed) {
            settle(lines, &mut found, index, track);
        }
    }
    for (mline, line) in lines.iter().enumerate() {
        if let Some(more) = silent(mline, line, &found, brings.receives) {
            found.push(more);
        }
    }
    // In m-line order, but behind those of before.
    let known = before.map_or(0, |it| it.media.len());
    found[known..].sort_by_key(|it| it.taken.mline);
    if found.is_empty() {
        return Err(nothing_in_common(lines, brings.tracks, brings.receives));
    }
    for it in found.iter().filter(|it| !it.dead) {
        check_muxed(lines, it.taken.mline)?;
    }
    Ok(found)
}

/// An m-line of before.
fn again(lines: &[Line<'_>], brings: Brings<'_>, plan: &MediaPlan) -> Result<Found, SdpError> {
    let changed = |what: &str| {
        malformed(format!(
            "m-line {} has changed its {what} in the middle of a call",
            plan.mline
        ))
    };
    let line = lines.get(plan.mline).ok_or_else(|| changed("place"))?;
    let same = line.mid.is_none_or(|mid| mid == plan.mid) && line.kind == Some(plan.kind);
    let alive = same && line.bundled;
    if alive && !line.payloads.is(plan.payload_type, plan.codec) {
        return Err(changed("payload types"));
    }
    let stays = |track: &usize| line.receives && !brings.gone.contains(track);
    Ok(Found {
        taken: Match {
            track: plan.track.filter(stays).filter(|_| alive),
            receives: alive && line.sends && brings.receives.contains(&plan.codec),
            mline: plan.mline,
            codec: plan.codec,
            payload_type: plan.payload_type,
        },
        open: alive && line.receives,
        dead: !alive,
    })
}

/// Finds a place for a track: on an m-line that is idle, or on a new one.
fn settle(lines: &[Line<'_>], found: &mut Vec<Found>, index: usize, track: &TrackOffer) {
    let mut idle = found.iter_mut().filter(|it| {
        let payloads = &lines[it.taken.mline].payloads;
        let fits = |offer| payloads.takes(it.taken.payload_type, offer);
        it.open && it.taken.track.is_none() && track.codecs.iter().copied().any(fits)
    });
    if let Some(idle) = idle.next() {
        idle.taken.track = Some(index);
        return;
    }
    let new = open(lines, found).filter(|(_, line)| line.receives && line.kind == Some(track.kind));
    let taken = new.filter_map(|(mline, line)| {
        let mut codecs = track.codecs.iter();
        let (codec, payload_type) =
            codecs.find_map(|it| Some((it.codec, line.payloads.find(*it)?)))?;
        Some((mline, line.sends, codec, payload_type))
    });
    let first = { taken }.next();
    if let Some((mline, sends, codec, payload_type)) = first {
        found.push(Found {
            taken: Match {
                track: Some(index),
                receives: sends,
                mline,
                codec,
                payload_type,
            },
            open: true,
            dead: false,
        });
    }
}

/// An m-line on which nothing of ours flows yet.
fn silent(mline: usize, line: &Line<'_>, found: &[Found], receives: &[Codec]) -> Option<Found> {
    let known = found.iter().any(|it| it.taken.mline == mline);
    if known || !line.bundled || found.len() >= MAX_CALL_LINES {
        return None;
    }
    let mut of_kind = receives.iter().filter(|it| line.kind == Some(it.kind()));
    let (codec, payload_type) =
        of_kind.find_map(|codec| Some((*codec, line.payloads.find(easiest(*codec))?)))?;
    Some(Found {
        taken: Match {
            track: None,
            receives: line.sends,
            mline,
            codec,
            payload_type,
        },
        open: line.receives,
        dead: false,
    })
}

/// The m-lines that are not taken yet, as long as more may be.
fn open<'a, 'b>(
    lines: &'a [Line<'b>],
    found: &[Found],
) -> impl Iterator<Item = (usize, &'a Line<'b>)> + use<'a, 'b> {
    let taken: Vec<usize> = found.iter().map(|it| it.taken.mline).collect();
    let full = found.len() >= MAX_CALL_LINES;
    let lines = lines.iter().enumerate();
    lines.filter(move |(mline, line)| !full && line.bundled && !taken.contains(mline))
}

/// The plans for them: those of before are what they were, but for what flows.
fn plan(
    offered: &Offered<'_>,
    found: &[Found],
    before: Option<&OfferPlan>,
) -> (Vec<MediaPlan>, Vec<Vec<Extension>>) {
    let mut ids = Ids::default();
    let (mut media, mut extensions) = (Vec::new(), Vec::new());
    if let Some(before) = before {
        for (plan, kept) in before.media.iter().zip(&before.original.extensions) {
            for extension in kept {
                ids.take(extension.clone());
            }
            media.push(plan.clone());
            extensions.push(kept.clone());
        }
    }
    for (plan, now) in media.iter_mut().zip(found) {
        plan.track = now.taken.track;
        plan.receives = now.taken.receives;
    }
    for new in &found[media.len()..] {
        let (plan, more) = plan_line(offered, &new.taken, true, &mut ids);
        media.push(plan);
        extensions.push(more);
    }
    (media, extensions)
}
