//! What all of our elements have in common: the properties that say how
//! signalling and the network are used, the signals, and how they start.

mod bitrates;
mod caps;
mod codecs;
mod house;
mod latency;
mod life;
mod network;
mod object;
pub(crate) mod opening;
mod pad;
mod property;
mod settings;
mod signals;
mod tracks;

pub(crate) use bitrates::{Bitrates, max_bitrate, min_bitrate, start_bitrate};
pub(crate) use caps::{HEARD_AUDIO, HEARD_DATA, HEARD_VIDEO, SENT_AUDIO, SENT_VIDEO};
pub(crate) use codecs::{Codecs, audio_codecs, decodable_first, video_codecs};
pub(crate) use house::HouseClock;
pub(crate) use latency::{Latency, latency};
pub(crate) use life::{Life, change_state, send_eos};
pub(crate) use object::{Names, child_by_index, child_by_name, goes_out, read, specs};
pub(crate) use opening::Opening;
pub(crate) use pad::{RtcSinkPad, add_track, drop_pad};
pub(crate) use property::{Property, property};
pub(crate) use settings::{Common, HasCommon, common_properties, text};
pub(crate) use signals::{common_signals, encoder_setup};
pub(crate) use tracks::Tracks;
