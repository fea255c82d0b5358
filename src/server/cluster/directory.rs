//! Which servers there are, and which streams each of them has. Pure: time is
//! an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::wire::{Listed, ServerId};

/// A server that was not heard for this long is gone; it speaks twice a second.
pub(super) const SILENCE: Duration = Duration::from_millis(2500);

/// How many servers are kept in mind, and how many streams of each.
const SERVERS: usize = 256;
const STREAMS: usize = 16 * 1024;

/// What the other servers have said.
#[derive(Debug, Default)]
pub(super) struct Directory {
    servers: BTreeMap<ServerId, Server>,
}

#[derive(Debug)]
struct Server {
    heard: Instant,
    /// Of the list that we have; `None` before the first.
    edition: Option<u64>,
    streams: BTreeMap<String, Listed>,
}

/// What a sign of life was good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// We know all that it says.
    Known,
    /// Its list must be asked for.
    Stale,
}

impl Directory {
    /// A server has said which streams it has.
    pub(super) fn list(
        &mut self,
        from: &ServerId,
        edition: u64,
        streams: Vec<Listed>,
        now: Instant,
    ) {
        if !self.servers.contains_key(from) && self.servers.len() >= SERVERS {
            return;
        }
        let named = |listed: Listed| (listed.name.clone(), listed);
        let server = Server {
            heard: now,
            edition: Some(edition),
            streams: streams.into_iter().take(STREAMS).map(named).collect(),
        };
        self.servers.insert(from.clone(), server);
    }

    /// A server has said that its list is still this one.
    pub(super) fn beat(&mut self, from: &ServerId, edition: u64, now: Instant) -> Beat {
        match self.servers.get_mut(from) {
            Some(server) => {
                server.heard = now;
                if server.edition == Some(edition) {
                    Beat::Known
                } else {
                    Beat::Stale
                }
            }
            None => Beat::Stale,
        }
    }

    /// A server is gone. `false` if it was not there.
    pub(super) fn forget(&mut self, server: &ServerId) -> bool {
        self.servers.remove(server).is_some()
    }

    /// Takes out those that have been silent for too long.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<ServerId> {
        let silent = |server: &Server| now.saturating_duration_since(server.heard) > SILENCE;
        let gone: Vec<_> = self
            .servers
            .iter()
            .filter(|(_, server)| silent(server))
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.servers.remove(id);
        }
        gone
    }

    /// Nobody could be heard until now: that does not count as silence.
    pub(super) fn excuse(&mut self, now: Instant) {
        for server in self.servers.values_mut() {
            server.heard = now;
        }
    }

    /// Is this server there?
    pub(super) fn has(&self, server: &ServerId) -> bool {
        self.servers.contains_key(server)
    }

    /// Whose publisher to go to for a stream: one that is there rather than one
    /// that is away, the one that has come last of those; so that all servers
    /// choose the same.
    pub(super) fn home(&self, stream: &str) -> Option<(&ServerId, &Listed)> {
        let those = self.servers.iter();
        let homes = those.filter_map(|(id, server)| Some((id, server.streams.get(stream)?)));
        homes.max_by_key(|(id, listed)| (!listed.away, listed.since, (*id).clone()))
    }

    /// The names of all streams of the others.
    pub(super) fn streams(&self) -> Vec<String> {
        let lists = self.servers.values();
        let mut names: Vec<_> = lists.flat_map(|it| it.streams.keys().cloned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> ServerId {
        ServerId::parse(name).unwrap()
    }

    fn listed(name: &str, since: u64, away: bool) -> Listed {
        Listed {
            since,
            away,
            ..Listed::new(name)
        }
    }

    #[test]
    fn the_one_that_is_there_and_came_last_has_the_stream() {
        let now = Instant::now();
        let mut directory = Directory::default();
        assert_eq!(directory.home("cam"), None);
        directory.list(&id("a"), 1, vec![listed("cam", 5, true)], now);
        assert_eq!(directory.home("cam").unwrap().0, &id("a"));
        directory.list(
            &id("b"),
            1,
            vec![listed("cam", 2, false), listed("x", 1, false)],
            now,
        );
        assert_eq!(directory.home("cam").unwrap().0, &id("b"), "it is there");
        directory.list(&id("c"), 1, vec![listed("cam", 3, false)], now);
        assert_eq!(directory.home("cam").unwrap().0, &id("c"), "it came later");
        assert_eq!(directory.streams(), ["cam", "x"]);
        assert!(directory.forget(&id("c")) && !directory.forget(&id("c")));
        assert_eq!(directory.home("cam").unwrap().0, &id("b"));
    }

    #[test]
    fn a_list_is_asked_for_once() {
        let now = Instant::now();
        let mut directory = Directory::default();
        assert_eq!(directory.beat(&id("a"), 1, now), Beat::Stale);
        directory.list(&id("a"), 1, Vec::new(), now);
        assert_eq!(directory.beat(&id("a"), 1, now), Beat::Known);
        assert_eq!(directory.beat(&id("a"), 2, now), Beat::Stale);
    }

    #[test]
    fn who_is_silent_is_gone_unless_nobody_could_be_heard() {
        let now = Instant::now();
        let mut directory = Directory::default();
        directory.list(&id("a"), 1, vec![listed("cam", 1, false)], now);
        directory.list(&id("b"), 1, Vec::new(), now);
        let later = now + SILENCE;
        directory.beat(&id("b"), 1, later);
        assert!(directory.expire(later).is_empty());
        let later = later + Duration::from_millis(1);
        assert_eq!(directory.expire(later), [id("a")]);
        assert_eq!(directory.home("cam"), None);
        let later = later + Duration::from_secs(60);
        directory.excuse(later);
        assert!(directory.expire(later).is_empty());
        assert!(directory.has(&id("b")));
    }

    #[test]
    fn there_are_only_so_many_servers() {
        let now = Instant::now();
        let mut directory = Directory::default();
        for number in 0..2 * SERVERS {
            directory.list(&id(&format!("s{number}")), 1, Vec::new(), now);
        }
        assert_eq!(directory.servers.len(), SERVERS);
    }
}
