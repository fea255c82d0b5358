//! What waits to be sent, and what is dropped where that becomes too much.

use std::collections::VecDeque;

use super::{MAX_COUNT, MAX_WAITING};

/// What happens to a message for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// It takes the place of the oldest ones.
    #[default]
    DropOldest,
    /// It is dropped itself.
    DropNewest,
    /// It waits, and so does whoever sends it.
    Block,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed<T> {
    /// It waits to be sent, and nothing was lost.
    Queued,
    /// So many messages were dropped, older ones or itself.
    Dropped(usize),
    /// There is no room yet: here it is back.
    Full(T),
}

/// Messages on their way to one peer.
#[derive(Clone, Debug)]
pub struct Queue<T> {
    items: VecDeque<(usize, T)>,
    bytes: usize,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            items: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T> Queue<T> {
    /// Takes a message of so many bytes.
    pub fn push(&mut self, bytes: usize, item: T, overflow: Overflow) -> Pushed<T> {
        let mut dropped = 0;
        while !self.has_room(bytes) {
            match overflow {
                Overflow::Block => return Pushed::Full(item),
                Overflow::DropNewest => return Pushed::Dropped(1),
                Overflow::DropOldest => {
                    self.pop();
                    dropped += 1;
                }
            }
        }
        self.bytes += bytes;
        self.items.push_back((bytes, item));
        match dropped {
            0 => Pushed::Queued,
            _ => Pushed::Dropped(dropped),
        }
    }

    /// An empty queue takes any message.
    fn has_room(&self, bytes: usize) -> bool {
        self.items.is_empty() || (self.items.len() < MAX_COUNT && self.bytes + bytes <= MAX_WAITING)
    }

    /// Is there room again for whoever found none? Not for each message alone:
    /// to wake somebody costs more than to send one.
    pub fn is_half_empty(&self) -> bool {
        self.bytes <= MAX_WAITING / 2 && self.items.len() <= MAX_COUNT / 2
    }

    /// The next one to send.
    pub fn front(&self) -> Option<&T> {
        self.items.front().map(|(_, item)| item)
    }

    /// Takes it out.
    pub fn pop(&mut self) -> Option<T> {
        let (bytes, item) = self.items.pop_front()?;
        self.bytes -= bytes;
        Some(item)
    }

    /// How many messages wait.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Does none wait?
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: usize = 256 * 1024;
    const MOST: usize = MAX_WAITING / BIG;

    fn full() -> Queue<usize> {
        let mut queue = Queue::default();
        for number in 0..MOST {
            let pushed = queue.push(BIG, number, Overflow::Block);
            assert_eq!(pushed, Pushed::Queued);
        }
        queue
    }

    #[test]
    fn the_oldest_make_room() {
        let mut queue = full();
        assert_eq!(queue.push(1, 99, Overflow::DropOldest), Pushed::Dropped(1));
        assert_eq!(queue.front(), Some(&1));
        assert_eq!(queue.len(), MOST);
    }

    #[test]
    fn the_newest_is_dropped() {
        let mut queue = full();
        assert_eq!(queue.push(1, 99, Overflow::DropNewest), Pushed::Dropped(1));
        let all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(all, (0..MOST).collect::<Vec<_>>());
        assert!(queue.is_empty());
    }

    #[test]
    fn who_waits_keeps_its_message() {
        let mut queue = full();
        assert_eq!(queue.push(1, 99, Overflow::Block), Pushed::Full(99));
        queue.pop();
        assert!(!queue.is_half_empty());
        assert_eq!(queue.push(1, 99, Overflow::Block), Pushed::Queued);
        while queue.len() > MOST / 2 {
            queue.pop();
        }
        assert!(queue.is_half_empty());
    }

    #[test]
    fn small_ones_are_counted() {
        let mut queue = Queue::default();
        for number in 0..=MAX_COUNT {
            queue.push(0, number, Overflow::DropOldest);
        }
        assert_eq!((queue.len(), queue.front()), (MAX_COUNT, Some(&1)));
    }
}
