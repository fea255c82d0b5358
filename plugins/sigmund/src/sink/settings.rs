//! The properties of `rtcsink`: one row each, its default, its reader and its
//! writer in one place.

use std::sync::LazyLock;

use gst::prelude::*;
use sigmund::access::Token;
use sigmund::address::{IceScheme, IceServer};
use sigmund::ladder::Limits;
use sigmund::sdp::Codec;
use sigmund::signaller::{Options, Role, TlsFiles};

use crate::driver::Network;

const VIDEO_CODECS: &str = "H264,VP8";
const AUDIO_CODECS: &str = "OPUS";
const MIN_BITRATE: u32 = 200_000;
const START_BITRATE: u32 = 2_500_000;
const MAX_BITRATE: u32 = 8_000_000;
const MAX_PEERS: u32 = 256;

/// What the user set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    uri: Option<String>,
    token: Option<String>,
    allow_anonymous: bool,
    allowed_origins: Option<String>,
    allowed_hosts: Option<String>,
    tls_certificate: Option<String>,
    tls_key: Option<String>,
    tls_ca: Option<String>,
    ice_servers: Option<String>,
    ice_transport_policy: IceTransportPolicy,
    ice_port_range: Option<String>,
    video_codecs: String,
    audio_codecs: String,
    min_bitrate: u32,
    start_bitrate: u32,
    max_bitrate: u32,
    max_peers: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            uri: None,
            token: None,
            allow_anonymous: false,
            allowed_origins: None,
            allowed_hosts: None,
            tls_certificate: None,
            tls_key: None,
            tls_ca: None,
            ice_servers: None,
            ice_transport_policy: IceTransportPolicy::All,
            ice_port_range: None,
            video_codecs: VIDEO_CODECS.into(),
            audio_codecs: AUDIO_CODECS.into(),
            min_bitrate: MIN_BITRATE,
            start_bitrate: START_BITRATE,
            max_bitrate: MAX_BITRATE,
            max_peers: MAX_PEERS,
        }
    }
}

/// Which candidates are used (W3C `RTCIceTransportPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, glib::Enum)]
#[enum_type(name = "SigmundIceTransportPolicy")]
#[repr(i32)]
pub enum IceTransportPolicy {
    /// Host, server-reflexive and relayed ones.
    #[default]
    All,
    /// Relayed ones only: peers never see our addresses.
    Relay,
}

/// What the settings come to when the element starts.
pub(super) struct Plan {
    pub(super) uri: String,
    pub(super) options: Options,
    pub(super) network: Network,
    pub(super) codecs: Vec<Codec>,
    pub(super) limits: Limits,
    pub(super) max_peers: usize,
}

impl Settings {
    /// Checks them all; the error says which one is wrong and what it takes.
    pub(super) fn plan(&self, element_name: &str) -> Result<Plan, String> {
        let ice_servers = self.ice_servers()?;
        let mut codecs = codecs("video-codecs", &self.video_codecs)?;
        codecs.extend(self::codecs("audio-codecs", &self.audio_codecs)?);
        let limits = Limits {
            min: self.min_bitrate,
            max: self.max_bitrate,
            start: self.start_bitrate,
        };
        if limits.min > limits.start || limits.start > limits.max {
            return Err(format!(
                "min-bitrate ({}) <= start-bitrate ({}) <= max-bitrate ({}) must hold",
                limits.min, limits.start, limits.max
            ));
        }
        let tls = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => Some(TlsFiles {
                certificate: certificate.into(),
                key: key.into(),
            }),
            (None, None) => None,
            _ => return Err("tls-certificate and tls-key go together; set both".into()),
        };
        Ok(Plan {
            uri: self
                .uri
                .clone()
                .unwrap_or_else(|| format!("listen://127.0.0.1:8080/{element_name}")),
            options: Options {
                token: self.token.clone().map(Token::new),
                allow_anonymous: self.allow_anonymous,
                tls,
                tls_ca: self.tls_ca.clone().map(Into::into),
                allowed_origins: list(&self.allowed_origins),
                allowed_hosts: list(&self.allowed_hosts),
                ice_servers: ice_servers.clone(),
                ..Options::new(Role::Publish, element_name)
            },
            network: Network {
                ice_servers,
                relay_only: self.ice_transport_policy == IceTransportPolicy::Relay,
                port_range: self.port_range()?,
            },
            codecs,
            limits,
            max_peers: self.max_peers as usize,
        })
    }

    fn ice_servers(&self) -> Result<Vec<IceServer>, String> {
        let servers = match &self.ice_servers {
            Some(list) => IceServer::parse_list(list).map_err(|e| format!("ice-servers: {e}"))?,
            None => Vec::new(),
        };
        if servers.iter().any(|s| s.scheme == IceScheme::Turns) {
            return Err(
                "ice-servers: turns: would go out unencrypted (libnice has no TLS for TURN); \
                 media is encrypted anyway, use turn://…?transport=tcp"
                    .into(),
            );
        }
        Ok(servers)
    }

    fn port_range(&self) -> Result<Option<(u16, u16)>, String> {
        let Some(text) = &self.ice_port_range else {
            return Ok(None);
        };
        text.split_once('-')
            .and_then(|(min, max)| Some((min.trim().parse().ok()?, max.trim().parse().ok()?)))
            .filter(|(min, max)| *min > 0 && min <= max)
            .map(Some)
            .ok_or_else(|| {
                format!("ice-port-range takes FIRST-LAST, e.g. 50000-50100, not {text:?}")
            })
    }
}

fn list(text: &Option<String>) -> Vec<String> {
    let items = text.iter().flat_map(|text| text.split(',')).map(str::trim);
    items
        .filter(|item| !item.is_empty())
        .map(str::to_owned)
        .collect()
}

fn codecs(property: &str, list: &str) -> Result<Vec<Codec>, String> {
    let known = [Codec::H264, Codec::Vp8, Codec::Opus];
    let video = property == "video-codecs";
    let fits = |codec: &Codec| (codec.kind() == sigmund::sdp::Kind::Video) == video;
    list.split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| {
            known
                .iter()
                .copied()
                .find(|codec| fits(codec) && codec.encoding_name().eq_ignore_ascii_case(name))
                .ok_or_else(|| {
                    let names: Vec<_> = known
                        .iter()
                        .filter(|c| fits(c))
                        .map(|c| c.encoding_name())
                        .collect();
                    format!(
                        "{property}: {name:?} is not known; there are {}",
                        names.join(", ")
                    )
                })
        })
        .collect()
}

/// One property.
pub(super) struct Property {
    spec: glib::ParamSpec,
    get: fn(&Settings) -> glib::Value,
    set: fn(&mut Settings, &glib::Value),
}

macro_rules! property {
    ($field:ident, $spec:expr) => {
        Property {
            spec: $spec.mutable_ready().build(),
            get: |settings| settings.$field.to_value(),
            // GObject has checked the type.
            set: |settings, value| {
                if let Ok(value) = value.get() {
                    settings.$field = value;
                }
            },
        }
    };
}

fn text(name: &'static str, blurb: &'static str) -> glib::ParamSpecStringBuilder<'static> {
    glib::ParamSpecString::builder(name).blurb(blurb)
}

fn bitrate(
    name: &'static str,
    default: u32,
    blurb: &'static str,
) -> glib::ParamSpecUIntBuilder<'static> {
    glib::ParamSpecUInt::builder(name)
        .minimum(10_000)
        .maximum(1_000_000_000)
        .default_value(default)
        .blurb(blurb)
}

static PROPERTIES: LazyLock<Vec<Property>> = LazyLock::new(|| {
    vec![
        property!(
            uri,
            text(
                "uri",
                "Who carries the notes between the peers, e.g. listen://0.0.0.0:8080/camera \
                 (embedded server: page, WHEP). Default: listen://127.0.0.1:8080/<element name>"
            )
        ),
        property!(
            token,
            text("token", "Secret that viewers must present (Authorization: Bearer, or #token=… in the page's URL)")
        ),
        property!(
            allow_anonymous,
            glib::ParamSpecBoolean::builder("allow-anonymous")
                .blurb("Let anybody who reaches the address watch, even from other machines, without a token")
        ),
        property!(
            allowed_origins,
            text(
                "allowed-origins",
                "Web origins besides our own whose pages may watch, separated by commas, \
                 e.g. https://example.org; * for any"
            )
        ),
        property!(
            allowed_hosts,
            text(
                "allowed-hosts",
                "Host names under which the embedded server may be reached, separated by commas; \
                 addresses and localhost always may"
            )
        ),
        property!(
            tls_certificate,
            text("tls-certificate", "PEM file with the server's certificate chain; makes the embedded server speak HTTPS")
        ),
        property!(tls_key, text("tls-key", "PEM file with the private key of tls-certificate")),
        property!(
            tls_ca,
            text(
                "tls-ca",
                "PEM file with a certificate authority to trust besides the system's, for servers \
                 that we connect to"
            )
        ),
        property!(
            ice_servers,
            text(
                "ice-servers",
                "STUN and TURN servers, separated by commas: stun://HOST[:PORT], \
                 turn://USER:PASSWORD@HOST[:PORT][?transport=udp|tcp], percent-encoded"
            )
        ),
        property!(
            ice_transport_policy,
            glib::ParamSpecEnum::builder_with_default("ice-transport-policy", IceTransportPolicy::All)
                .blurb("Which ICE candidates are used; relay hides our addresses behind a TURN server")
        ),
        property!(
            ice_port_range,
            text("ice-port-range", "UDP ports for media, FIRST-LAST, one for each viewer and local address; default any")
        ),
        property!(
            video_codecs,
            text("video-codecs", "Codecs for raw video, best first: H264, VP8")
                .default_value(Some(VIDEO_CODECS))
        ),
        property!(
            audio_codecs,
            text("audio-codecs", "Codecs for raw audio, best first: OPUS")
                .default_value(Some(AUDIO_CODECS))
        ),
        property!(
            min_bitrate,
            bitrate("min-bitrate", MIN_BITRATE, "Video is never encoded below this, in bit/s")
        ),
        property!(
            start_bitrate,
            bitrate("start-bitrate", START_BITRATE, "Video is encoded at this until viewers report, in bit/s")
        ),
        property!(
            max_bitrate,
            bitrate("max-bitrate", MAX_BITRATE, "Video is never encoded above this, in bit/s")
        ),
        property!(
            max_peers,
            glib::ParamSpecUInt::builder("max-peers")
                .minimum(1)
                .default_value(MAX_PEERS)
                .blurb("Viewers at the same time; the next one is told that there is no room")
        ),
    ]
});

/// The properties that can be set, in the order of their ids.
pub(super) fn properties() -> &'static [Property] {
    &PROPERTIES
}

impl Property {
    /// Its specification.
    pub(super) fn spec(&self) -> &glib::ParamSpec {
        &self.spec
    }

    /// Reads it.
    pub(super) fn get(&self, settings: &Settings) -> glib::Value {
        (self.get)(settings)
    }

    /// Writes it.
    pub(super) fn set(&self, settings: &mut Settings, value: &glib::Value) {
        (self.set)(settings, value);
    }
}
