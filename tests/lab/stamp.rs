//! A counter and a clock in the picture, for machines to read.
//!
//! Two rows of black and white blocks across the top of a frame: above, the
//! number of the frame; below, the milliseconds of the wall clock when it was
//! drawn. Each row is sixteen bits, most significant first, and a check of
//! four. Blocks are a twentieth of the width and a fifteenth of the height
//! (32×32 at 640×480), so they outlive scaling and hard compression.

/// Blocks across.
pub const COLUMNS: usize = 20;
/// A frame's height in rows of blocks; the upper two are drawn.
pub const ROWS: usize = 15;

const BLACK: u8 = 16;
const WHITE: u8 = 235;

/// What is drawn into one frame. Both wrap: after 36 minutes at 30 frames a
/// second, and after 65.5 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The frame's number.
    pub number: u16,
    /// Milliseconds since the epoch, modulo 65536.
    pub millis: u16,
}

impl Stamp {
    /// Draws it into a plane of brightness.
    pub fn draw(self, luma: &mut [u8], stride: usize, width: usize, height: usize) {
        let rows = [word(self.number), word(self.millis)];
        for (row, bits) in rows.into_iter().enumerate() {
            for y in row * height / ROWS..(row + 1) * height / ROWS {
                let line = &mut luma[y * stride..y * stride + width];
                for column in 0..COLUMNS {
                    let white = bits >> (COLUMNS - 1 - column) & 1 == 1;
                    let block = column * width / COLUMNS..(column + 1) * width / COLUMNS;
                    line[block].fill(if white { WHITE } else { BLACK });
                }
            }
        }
    }

    /// Reads it back; `None` where there is none or it is damaged.
    pub fn read(luma: &[u8], stride: usize, width: usize, height: usize) -> Option<Self> {
        let row = |row: usize| -> Option<u16> {
            let y = (2 * row + 1) * height / (2 * ROWS);
            let bits = (0..COLUMNS).try_fold(0u32, |bits, column| {
                let x = (2 * column + 1) * width / (2 * COLUMNS);
                let bright = *luma.get(y * stride + x)?;
                Some(bits << 1 | u32::from(bright > 126))
            })?;
            let value = u16::try_from(bits >> 4).ok()?;
            (word(value) == bits).then_some(value)
        };
        Some(Self {
            number: row(0)?,
            millis: row(1)?,
        })
    }
}

/// Sixteen bits and their check, which no plain black or white row passes.
fn word(value: u16) -> u32 {
    let value = u32::from(value);
    let nibble = |n: u32| value >> (4 * n) & 15;
    let check = nibble(0) + 3 * nibble(1) + 5 * nibble(2) + 7 * nibble(3) + 9;
    value << 4 | check & 15
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_read_at_any_size() {
        for (width, height) in [(320, 240), (640, 360), (1280, 720)] {
            let stamp = Stamp {
                number: 54_321,
                millis: 12_345,
            };
            let stride = width + 12;
            let mut luma = vec![90; stride * height];
            stamp.draw(&mut luma, stride, width, height);
            assert_eq!(Stamp::read(&luma, stride, width, height), Some(stamp));
        }
    }

    #[test]
    fn plain_and_damaged_pictures_hold_no_stamp() {
        for grey in [0, 126, 255] {
            assert_eq!(Stamp::read(&vec![grey; 320 * 240], 320, 320, 240), None);
        }
        let mut luma = vec![0; 320 * 240];
        let stamp = Stamp {
            number: 7,
            millis: 7,
        };
        stamp.draw(&mut luma, 320, 320, 240);
        for line in luma.chunks_mut(320).take(32) {
            line[0..16].fill(255);
        }
        assert_eq!(Stamp::read(&luma, 320, 320, 240), None);
    }
}
