//! One direction of a TCP connection, as a capture has it: put in order, and cut
//! into what was framed.

use std::collections::BTreeMap;

use crate::capture::Carrier;

/// STUN's magic cookie (RFC 8489 section 5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// The longest record of TLS 1.2 (RFC 5246 section 6.2.3).
const RECORD: usize = (1 << 14) + 2048;

/// What has come so far and was not taken yet.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// The number of the byte after `bytes`.
    next: Option<u32>,
    bytes: Vec<u8>,
    /// What has come too early, by its number.
    early: BTreeMap<u32, Vec<u8>>,
    carrier: Option<Carrier>,
}

impl Stream {
    /// Takes a segment, from TCP's header on.
    pub(crate) fn take(&mut self, segment: &[u8]) {
        let Some((number, starts, data)) = read(segment) else {
            return;
        };
        if starts {
            self.next = Some(number.wrapping_add(1));
            return;
        }
        if data.is_empty() {
            return;
        }
        self.next.get_or_insert(number);
        let longer = self
            .early
            .get(&number)
            .is_none_or(|it| it.len() < data.len());
        if longer {
            self.early.insert(number, data.to_vec());
        }
        self.join();
    }

    /// Moves what fits to the end, and forgets what has come twice.
    fn join(&mut self) {
        while let Some(next) = self.next {
            // How far a segment begins before the end; more than half of all
            // numbers is ahead.
            let fits = self.early.iter().find_map(|(&number, data)| {
                let known = next.wrapping_sub(number);
                (known < u32::MAX / 2).then_some((number, known as usize, data.len()))
            });
            let Some((number, known, length)) = fits else {
                return;
            };
            let data = self.early.remove(&number).unwrap_or_default();
            if known < length {
                self.bytes.extend(&data[known..]);
                self.next = Some(number.wrapping_add(length as u32));
            }
        }
    }

    /// The next thing that is complete.
    pub(crate) fn pop(&mut self) -> Option<(Carrier, Vec<u8>)> {
        let carrier = match self.carrier {
            Some(carrier) => carrier,
            None => *self.carrier.insert(recognize(&self.bytes)?),
        };
        let (skipped, length, padded) = match carrier {
            Carrier::Turn => turn(&self.bytes)?,
            Carrier::Ice => {
                let length = 2 + number(&self.bytes, 0)?;
                (2, length, length)
            }
            Carrier::Tls => {
                let length = 5 + number(&self.bytes, 3)?;
                (0, length, length)
            }
            Carrier::Udp | Carrier::Stranger => (0, self.bytes.len(), self.bytes.len()),
        };
        let is_record = matches!(self.bytes.first(), Some(20..=23)) && length <= RECORD + 5;
        if carrier == Carrier::Tls && !is_record {
            self.carrier = Some(Carrier::Stranger);
            return self.pop();
        }
        if padded == 0 || self.bytes.len() < padded {
            return None;
        }
        let rest = self.bytes.split_off(padded);
        let whole = std::mem::replace(&mut self.bytes, rest);
        Some((carrier, whole[skipped..length].to_vec()))
    }
}

/// The number of a segment's first byte, whether it is the first at all, and its
/// data (RFC 9293 section 3.1).
fn read(segment: &[u8]) -> Option<(u32, bool, &[u8])> {
    let number = u32::from_be_bytes(segment.get(4..8)?.try_into().ok()?);
    let header = usize::from(segment.get(12)? >> 4) * 4;
    let starts = segment.get(13)? & 2 != 0;
    Some((number, starts, segment.get(header..)?))
}

/// What a connection is, by its first bytes; `None` while there are too few.
fn recognize(bytes: &[u8]) -> Option<Carrier> {
    let cookie_at = |at: usize| bytes.get(at..at + 4) == Some(&COOKIE[..]);
    match bytes {
        [] => None,
        [22, 3, ..] => Some(Carrier::Tls),
        _ if bytes.len() < 10 => None,
        [0 | 1, ..] if cookie_at(4) => Some(Carrier::Turn),
        [_, _, 0 | 1, ..] if cookie_at(6) => Some(Carrier::Ice),
        _ => Some(Carrier::Stranger),
    }
}

/// A message of STUN, or ChannelData, which is padded by TCP (RFC 8656 section
/// 12.5): what to skip, its end, and the end of its padding.
fn turn(bytes: &[u8]) -> Option<(usize, usize, usize)> {
    let length = number(bytes, 2)?;
    match bytes.first()? {
        0..=3 => Some((0, 20 + length, 20 + length)),
        _ => Some((0, 4 + length, 4 + length.next_multiple_of(4))),
    }
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let two = [*bytes.get(at)?, *bytes.get(at + 1)?];
    Some(usize::from(u16::from_be_bytes(two)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(number: u32, starts: bool, data: &[u8]) -> Vec<u8> {
        let mut segment = vec![0; 20];
        segment[4..8].copy_from_slice(&number.to_be_bytes());
        segment[12] = 5 << 4;
        segment[13] = u8::from(starts) * 2;
        segment.extend(data);
        segment
    }

    /// A message of STUN with so many bytes of attributes.
    fn stun(length: u8) -> Vec<u8> {
        let mut message = vec![0, 1, 0, length];
        message.extend(COOKIE);
        message.extend(vec![7; 12 + usize::from(length)]);
        message
    }

    fn all(stream: &mut Stream) -> Vec<(Carrier, Vec<u8>)> {
        std::iter::from_fn(|| stream.pop()).collect()
    }

    #[test]
    fn turn_comes_in_pieces_twice_and_out_of_order() {
        // Numbers wrap in the midst of it.
        let first = u32::MAX - 10;
        let mut bytes = stun(8);
        bytes.extend([0x40, 1, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0]);
        bytes.extend(stun(0));
        let piece = |from: usize, to: usize| {
            segment(first.wrapping_add(1 + from as u32), false, &bytes[from..to])
        };
        let mut stream = Stream::default();
        stream.take(&segment(first, true, &[]));
        stream.take(&piece(0, 3));
        assert_eq!(all(&mut stream), []);
        stream.take(&piece(30, bytes.len()));
        stream.take(&piece(0, 31));
        stream.take(&piece(3, 20));
        let channel = bytes[28..37].to_vec();
        let expected = [stun(8), channel, stun(0)].map(|it| (Carrier::Turn, it));
        assert_eq!(all(&mut stream), expected);
    }

    #[test]
    fn frames_of_peers_records_of_tls_and_strangers() {
        let mut framed = vec![0, 20];
        framed.extend(stun(0));
        framed.extend([0, 2, 22, 254]);
        let mut stream = Stream::default();
        stream.take(&segment(5, false, &framed));
        let expected = [stun(0), vec![22, 254]].map(|it| (Carrier::Ice, it));
        assert_eq!(all(&mut stream), expected);

        let mut stream = Stream::default();
        let records = [22, 3, 1, 0, 1, 9, 23, 3, 3, 0, 2, 8, 8, 128, 0, 0, 0, 0];
        stream.take(&segment(5, false, &records));
        let expected = [
            (Carrier::Tls, records[..6].to_vec()),
            (Carrier::Tls, records[6..13].to_vec()),
            // In clear text behind a handshake: no record at all.
            (Carrier::Stranger, records[13..].to_vec()),
        ];
        assert_eq!(all(&mut stream), expected);

        let mut stream = Stream::default();
        stream.take(&segment(5, false, b"GET / HTTP/1.1"));
        assert_eq!(
            all(&mut stream),
            [(Carrier::Stranger, b"GET / HTTP/1.1".to_vec())]
        );
    }
}
