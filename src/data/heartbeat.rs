//! A question that any SCTP endpoint answers: is anybody there?
//!
//! Where there are only data channels, a far side that is idle and one that is
//! gone look the same: there is no RTCP, libnice notices after 50 s, and SCTP
//! itself asks every 30 s and wants ten answers missed. So we send a HEARTBEAT
//! (RFC 9260 section 3.3.5) of our own, whose answer SCTP here throws away,
//! since it did not ask.

/// The head of an SCTP packet: two ports, and the tag that the far side knows
/// us by.
pub type Head = [u8; 8];

const COMMON: usize = 12;
const HEARTBEAT: u8 = 4;
const INFO: [u8; 2] = [0, 1];

/// The head of a packet that SCTP has sent, once it knows the far side's tag:
/// the first packet has none.
pub fn head(packet: &[u8]) -> Option<Head> {
    let head: Head = *packet.first_chunk()?;
    (packet.len() >= COMMON && head[4..] != [0; 4]).then_some(head)
}

/// The packet that asks.
pub fn heartbeat(head: Head) -> Vec<u8> {
    let mut packet = head.to_vec();
    packet.extend([0; 4]);
    packet.extend([HEARTBEAT, 0, 0, 16]);
    packet.extend(INFO);
    packet.extend([0, 12]);
    packet.extend(*b"Sigmund?");
    let sum = crc32c(&packet);
    packet[8..COMMON].copy_from_slice(&sum.to_le_bytes());
    packet
}

/// RFC 9260 appendix A.
fn crc32c(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    });
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_as_the_standard_wants_it() {
        // The check value of CRC-32C.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        let head = [0x13, 0x88, 0x13, 0x88, 1, 2, 3, 4];
        let packet = heartbeat(head);
        assert_eq!(packet[..8], head);
        assert_eq!(packet.len(), COMMON + 16);
        assert_eq!(packet[COMMON..COMMON + 8], [4, 0, 0, 16, 0, 1, 0, 12]);
        let mut zeroed = packet.clone();
        zeroed[8..COMMON].fill(0);
        assert_eq!(packet[8..COMMON], crc32c(&zeroed).to_le_bytes());
    }

    #[test]
    fn a_tag_is_known_after_the_first_packet() {
        assert_eq!(head(&[]), None);
        assert_eq!(head(&[1; 11]), None);
        let mut init = [1; 20];
        init[4..8].fill(0);
        assert_eq!(head(&init), None);
        assert_eq!(head(&[1; 20]), Some([1; 8]));
    }
}
