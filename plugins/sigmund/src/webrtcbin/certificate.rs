//! Our own DTLS certificate: ECDSA P-256, one a process.
//!
//! webrtcbin before 1.28 makes an RSA key, which peers that speak ECDSA alone
//! (aiortc, some servers) refuse as soon as we are the DTLS server. It takes
//! ours through `dtlssrtpdec`, but then announces a fingerprint over the
//! certificate and the key together: its descriptions are mended before they leave.

use std::sync::LazyLock;

use gst::prelude::*;
use sigmund::sdp;

struct Own {
    der: Vec<u8>,
    /// The certificate, then its key.
    pem: String,
    /// Nothing flows through it. GStreamer frees what it has made of a
    /// certificate with the last element that has it, and from 1.26 on a timer
    /// of DTLS that is still to come crashes then.
    _keeper: Option<gst::Element>,
}

/// `None` where it could not be made: then webrtcbin's own is used.
static OWN: LazyLock<Option<Own>> = LazyLock::new(|| {
    make()
        .inspect_err(|error| gst::error!(crate::CAT, "no certificate for DTLS: {error}"))
        .ok()
});

/// The name says nothing of us, nor do the dates: peers compare fingerprints
/// and nothing else, and many a device does not know what day it is.
fn make() -> Result<Own, rcgen::Error> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = rcgen::CertificateParams::default();
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, "WebRTC");
    params.distinguished_name = name;
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2049, 12, 31);
    let certificate = params.self_signed(&key)?;
    let pem = certificate.pem() + &key.serialize_pem();
    let keeper = gst::ElementFactory::make("dtlssrtpdec")
        .property("pem", &pem)
        .build();
    Ok(Own {
        der: certificate.der().to_vec(),
        pem,
        _keeper: keeper.ok(),
    })
}

/// Gives it to the DTLS element of a new transport, before anything uses it.
pub(super) fn give(dtlssrtpdec: &gst::Element) {
    if let Some(own) = &*OWN {
        dtlssrtpdec.set_property("pem", &own.pem);
    }
}

/// The description as it may leave.
pub(super) fn announce(description: String) -> String {
    match &*OWN {
        Some(own) => sdp::with_certificate(&description, &own.der),
        None => description,
    }
}
