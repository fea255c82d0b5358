//! The plan for an offer: which of its m-lines takes which of our tracks.

use super::data::DataPlan;
use super::extension::{self, Extension, Ids, Ways};
use super::matching::{self, Match};
use super::offered::{Line, Offered, OriginalLine};
use super::{Codec, CodecOffer, Identity, Kind, SdpError, narrow, parse};

/// One of our tracks, and what it could be sent as, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackOffer {
    /// Audio or video.
    pub kind: Kind,
    /// Codecs in the order of preference, each with the H.264 profile it has.
    pub codecs: Vec<CodecOffer>,
}

/// How one of the offer's m-lines is answered: with one of our tracks, with
/// ears, or with both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPlan {
    /// Is it an m-line of a call? Then webrtcbin takes it to go both ways, whatever
    /// flows on it now.
    pub call: bool,
    /// Index of the track that we send on it, in the slice given to
    /// [`OfferPlan::new`].
    pub track: Option<usize>,
    /// Do we take what the far side sends on it?
    pub receives: bool,
    /// Index of the m-line in the original offer.
    pub mline: usize,
    /// Its `a=mid`; one that we chose where the offer has none.
    pub mid: String,
    /// The kind of the track.
    pub kind: Kind,
    /// What is sent, either way.
    pub codec: Codec,
    /// The payload type, from the offer.
    pub payload_type: u8,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// The payload type of retransmissions (RFC 4588), where offered.
    pub rtx_payload_type: Option<u8>,
    /// Is generic NACK offered for the codec (RFC 4585)?
    pub nack: bool,
    /// Are full intra requests (RFC 5104 section 4.3.1)? Picture loss indications
    /// do without an offer.
    pub fir: bool,
    /// Id of the transport-wide congestion control extension, where offered
    /// together with `rtcp-fb … transport-cc`.
    pub twcc: Option<u8>,
    /// Id of the `urn:ietf:params:rtp-hdrext:sdes:mid` extension, where offered.
    pub mid_extension: Option<u8>,
    /// The codec's parameters as offered (`a=fmtp`), in order: those that
    /// limit or ask something of the sender, names in lower case.
    pub fmtp: Vec<(String, String)>,
}

/// What we make of an offer. See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferPlan {
    /// The offer for webrtcbin: only the m-lines of `media`, in their order,
    /// then that of `data`.
    pub narrowed: String,
    /// The m-lines that are taken, in their order. Empty only if there is `data`.
    pub media: Vec<MediaPlan>,
    /// The m-line for data channels, where both sides want one.
    pub data: Option<DataPlan>,
    /// Who the far side says it is.
    pub identity: Identity,
    pub(super) original: Original,
}

/// What of the original offer the answer needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) lines: Vec<OriginalLine>,
    /// The mids of its BUNDLE group, in their order, if it has one.
    pub(super) bundle: Option<Vec<String>>,
    /// Does the far side speak trickle ICE?
    pub(super) trickle: bool,
    pub(super) ufrag: String,
    /// For each of `media`: the header extensions that it takes.
    pub(super) extensions: Vec<Vec<Extension>>,
    /// For each of `media`: H.264's profile as offered, which the answer
    /// repeats (RFC 6184 section 8.2.2).
    pub(super) profiles: Vec<Option<String>>,
    /// For each of `media`, in a call: does the far side want to receive on it?
    pub(super) open: Vec<bool>,
    /// The m-lines of `media` that the far side of a call has given up.
    pub(super) dead: Vec<usize>,
    /// For each of `media`: the streams that the far side announces, where we
    /// receive.
    pub(super) sources: Vec<Vec<u32>>,
    /// How many of `media` stand before `data` in the narrowed offer.
    pub(super) data_at: usize,
}

/// The most m-lines on which we receive.
pub const MAX_RECEIVED: usize = 16;

impl MediaPlan {
    /// Which ways media flow on it, seen from us.
    pub(super) fn ways(&self) -> Ways {
        Ways {
            send: self.track.is_some(),
            receive: self.receives,
        }
    }

    /// The same as webrtcbin knows it.
    pub(super) fn pipes(&self) -> Ways {
        if self.call { Ways::BOTH } else { self.ways() }
    }
}

impl OfferPlan {
    /// Decides how to answer `offer` with `tracks`.
    ///
    /// Each track takes the first m-line of its kind that the far side wants to
    /// receive on and that has one of its codecs; the track's order of
    /// preference decides, not the offer's. A track that finds none is left
    /// out, as long as one is left. Data channels are refused.
    pub fn new(offer: &str, tracks: &[TrackOffer]) -> Result<Self, SdpError> {
        Self::both_ways(offer, tracks, &[])
    }

    /// The same for one who also receives, in one of the codecs `receives`, best
    /// first: on the m-lines of our tracks, and on any other on which the far
    /// side wants to send ([`MAX_RECEIVED`] at most).
    pub fn both_ways(
        offer: &str,
        tracks: &[TrackOffer],
        receives: &[Codec],
    ) -> Result<Self, SdpError> {
        Self::decide(offer, tracks, receives, false)
    }

    /// The same, and data channels are taken. Media may be missing where there
    /// is no track, or where the far side wants none.
    pub fn with_data(
        offer: &str,
        tracks: &[TrackOffer],
        receives: &[Codec],
    ) -> Result<Self, SdpError> {
        Self::decide(offer, tracks, receives, true)
    }

    fn decide(
        offer: &str,
        tracks: &[TrackOffer],
        receives: &[Codec],
        wants_data: bool,
    ) -> Result<Self, SdpError> {
        let session = parse(offer)?;
        let offered = Offered::read(&session)?;
        let data = wants_data.then(|| offered.data()).flatten();
        let matches = matching::find(&offered.lines, tracks, receives, data.is_some())?;
        let mut ids = Ids::default();
        let plan = |found| plan_line(&offered, found, false, &mut ids);
        let (media, extensions): (Vec<_>, Vec<_>) = matches.iter().map(plan).unzip();
        let profiles = media.iter().map(|it| offered.profile(it)).collect();
        let taken = Taken {
            data_at: media.len(),
            media,
            extensions,
            profiles,
            data,
            open: Vec::new(),
            dead: Vec::new(),
        };
        taken.plan(offered)
    }

    /// The far side's `a=ice-ufrag`: another one in a later fragment means
    /// that it restarts ICE.
    pub fn ufrag(&self) -> &str {
        &self.original.ufrag
    }

    /// The index and the mid of the m-line that has the transport in the
    /// answer, which all of our candidates belong to.
    pub fn transport_mline(&self) -> (usize, Option<&str>) {
        let first = self.bundled_mids().into_iter().next();
        let leads = |(_, mid): &(usize, &str)| first.as_deref() == Some(*mid);
        let mline = self.accepted().find(leads).map_or(0, |(mline, _)| mline);
        let line = self.original.lines.get(mline);
        (mline, line.and_then(|it| it.mid.as_deref()))
    }

    /// The m-lines of [`narrowed`](Self::narrowed) on which we receive, by
    /// their index there.
    pub fn heard(&self) -> Vec<(usize, Kind)> {
        let lines = self.media.iter().enumerate();
        let heard = lines.filter(|(_, it)| it.receives);
        heard.map(|(index, it)| (index, it.kind)).collect()
    }

    /// The index and the mid of each m-line that is taken.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (usize, &str)> {
        let dead = &self.original.dead;
        let media = self.media.iter().filter(|it| !dead.contains(&it.mline));
        let media = media.map(|it| (it.mline, it.mid.as_str()));
        let data = self.data.iter().map(|it| (it.mline, it.mid.as_str()));
        media.chain(data)
    }
}

/// What is taken of an offer; what is for each of `media` goes by its index.
pub(super) struct Taken {
    pub(super) media: Vec<MediaPlan>,
    pub(super) extensions: Vec<Vec<Extension>>,
    pub(super) profiles: Vec<Option<String>>,
    pub(super) data: Option<DataPlan>,
    pub(super) data_at: usize,
    pub(super) open: Vec<bool>,
    pub(super) dead: Vec<usize>,
}

impl Taken {
    /// The plan that comes of it.
    pub(super) fn plan(self, offered: Offered<'_>) -> Result<OfferPlan, SdpError> {
        let transport = offered.transport()?;
        let lines = self.media.iter().map(|it| &offered.lines[it.mline]);
        let payloads: Vec<_> = lines.map(|it| &it.payloads).collect();
        let sources: Vec<_> = self.media.iter().map(|it| offered.sources(it)).collect();
        let narrowed = narrow::write(&narrow::Parts {
            session: offered.session,
            transport: &transport,
            trickle: offered.trickle,
            media: &self.media,
            payloads: &payloads,
            sources: &sources,
            extensions: &self.extensions,
            data: self.data.as_ref(),
            data_at: self.data_at,
        });
        Ok(OfferPlan {
            narrowed,
            media: self.media,
            data: self.data,
            identity: transport.identity,
            original: Original {
                lines: offered.lines.iter().map(Line::original).collect(),
                bundle: offered.bundle,
                trickle: offered.trickle,
                ufrag: transport.ufrag,
                extensions: self.extensions,
                profiles: self.profiles,
                open: self.open,
                dead: self.dead,
                sources,
                data_at: self.data_at,
            },
        })
    }
}

/// The plan for one m-line, and the header extensions that it takes.
pub(super) fn plan_line(
    offered: &Offered<'_>,
    found: &Match,
    call: bool,
    ids: &mut Ids,
) -> (MediaPlan, Vec<Extension>) {
    let line = &offered.lines[found.mline];
    let payloads = &line.payloads;
    let payload_type = found.payload_type;
    let ours = Ways {
        send: call || found.track.is_some(),
        receive: call || found.receives,
    };
    let mut take = |uri| {
        let extension = Extension::find(offered.session, line.media, uri, ours)?;
        ids.take(extension)
    };
    let twcc = payloads
        .has_feedback(payload_type, "transport-cc")
        .then(|| take(extension::TWCC))
        .flatten();
    let mid_extension = line.mid.and_then(|_| take(extension::MID));
    let plan = MediaPlan {
        call,
        track: found.track,
        receives: found.receives,
        mline: found.mline,
        mid: offered.mid(line),
        kind: found.codec.kind(),
        codec: found.codec,
        payload_type,
        clock_rate: found.codec.clock_rate(),
        rtx_payload_type: payloads.rtx(payload_type),
        nack: payloads.has_feedback(payload_type, "nack"),
        fir: payloads.has_feedback(payload_type, "ccm fir"),
        twcc: twcc.as_ref().map(|it| it.id),
        mid_extension: mid_extension.as_ref().map(|it| it.id),
        fmtp: payloads.fmtp(payload_type, found.codec),
    };
    (plan, twcc.into_iter().chain(mid_extension).collect())
}
