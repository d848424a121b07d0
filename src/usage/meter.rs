//! Counting in memory. It costs a request the lock of one shard and a few comparisons.

use std::{
    collections::{HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    ids::{ClientId, PublicKey},
    text,
};

/// Locks that the keys share; each key always has the same one.
const SHARDS: usize = 16;
/// So many keys are counted in a shard at once. Counts are taken away once a second, and only keys that were let in are
/// counted, so this is reached when nothing can be stored for long.
const KEYS_MAX: usize = 10_000;
/// The last answers with an error that are kept of each client.
pub(crate) const ERRORS_KEPT: usize = 100;

/// So many characters of a `User-Agent` are kept.
const USER_AGENT_MAX: usize = 200;

/// One answered request of a key that was let in.
#[derive(Clone, Debug)]
pub struct MeteredRequest<'a> {
    /// Whose key it was.
    pub client: &'a ClientId,
    /// Which key.
    pub public_key: &'a PublicKey,
    /// When the answer began.
    pub at: DateTime<Utc>,
    /// `GET`.
    pub method: &'a str,
    /// The pattern of the address: `/api/sessions`.
    pub route: &'a str,
    /// The HTTP status, 200 to 599.
    pub status: u16,
    /// Where it came from.
    pub address: IpAddr,
    /// The `User-Agent` as it was sent.
    pub user_agent: &'a [u8],
    /// The id of the request and the code of the error, when the status says that there was one.
    pub error: Option<(Uuid, &'static str)>,
}

/// Counts calls until somebody takes the counts away.
#[derive(Debug)]
pub struct UsageMeter {
    /// `None`: nothing is counted.
    shards: Option<[Mutex<HashMap<PublicKey, KeyCounts>>; SHARDS]>,
}

/// What was counted of one key.
#[derive(Debug)]
struct KeyCounts {
    client: ClientId,
    tallies: Vec<HourCount>,
    last: LatestRequest,
    errors: VecDeque<FailedRequest>,
}

/// Calls of one key that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HourCount {
    /// Hours since 1970-01-01T00:00:00Z.
    pub(crate) hour: i64,
    /// `GET /api/sessions`.
    pub(crate) endpoint: String,
    /// The first digit of the status.
    pub(crate) status_class: i16,
    pub(crate) requests: i64,
}

/// The last use of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LatestRequest {
    pub(crate) used_at: DateTime<Utc>,
    pub(crate) address: IpAddr,
    /// Empty: none was sent.
    pub(crate) user_agent: String,
}

/// An answer with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedRequest {
    pub(crate) request_id: Uuid,
    pub(crate) answered_at: DateTime<Utc>,
    pub(crate) endpoint: String,
    pub(crate) status: i16,
    pub(crate) code: &'static str,
}

/// What was counted since the counts were last taken: a row per key, tally and error, in the order of the tables' keys,
/// so that nodes that store at once never wait for each other in a circle.
#[derive(Debug, Default)]
pub struct UsageCounts {
    pub(crate) tallies: Vec<(ClientId, PublicKey, HourCount)>,
    pub(crate) last_uses: Vec<(ClientId, PublicKey, LatestRequest)>,
    pub(crate) errors: Vec<(ClientId, PublicKey, FailedRequest)>,
}

impl UsageMeter {
    /// A meter that counts, or one that is turned off.
    #[must_use]
    pub fn new(is_on: bool) -> Self {
        Self { shards: is_on.then(Default::default) }
    }

    /// Whether anything is counted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.shards.is_some()
    }

    /// Counts a call.
    pub fn count(&self, call: &MeteredRequest<'_>) {
        let Some(shards) = &self.shards else { return };
        let mut keys = locked(&shards[shard_of(call.public_key)]);
        if let Some(counts) = keys.get_mut(call.public_key) {
            counts.add(call);
        } else if keys.len() < KEYS_MAX {
            let mut counts = KeyCounts::of(call);
            counts.add(call);
            keys.insert(call.public_key.clone(), counts);
        } else {
            tracing::warn!("Too many keys are counted at once; a call of another was not counted");
        }
    }

    /// Takes what was counted, and begins anew.
    #[must_use]
    pub fn take(&self) -> UsageCounts {
        let mut counts = UsageCounts::default();
        for shard in self.shards.iter().flatten() {
            let keys = std::mem::take(&mut *locked(shard));
            for (key, of_key) in keys {
                counts.gather(&key, of_key);
            }
        }
        counts.sort();
        counts
    }
}

/// What stands in a shard is whole after every line, so a panic elsewhere spoils nothing.
fn locked<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The characters of a public key are random, so the last one spreads keys evenly enough.
fn shard_of(key: &PublicKey) -> usize {
    key.as_str().bytes().last().map_or(0, |byte| usize::from(byte) % SHARDS)
}

impl KeyCounts {
    /// Nothing counted yet of the key of this call.
    fn of(call: &MeteredRequest<'_>) -> Self {
        let last = LatestRequest { used_at: call.at, address: call.address, user_agent: String::new() };
        Self { client: call.client.clone(), tallies: Vec::new(), last, errors: VecDeque::new() }
    }

    fn add(&mut self, call: &MeteredRequest<'_>) {
        let hour = call.at.timestamp().div_euclid(3600);
        let status_class = i16::try_from((call.status / 100).clamp(2, 5)).unwrap_or_default();
        let alike = |it: &&mut HourCount| {
            it.hour == hour
                && it.status_class == status_class
                && it.endpoint.split_once(' ') == Some((call.method, call.route))
        };
        match self.tallies.iter_mut().find(alike) {
            Some(tally) => tally.requests += 1,
            None => {
                self.tallies.push(HourCount { hour, endpoint: call.endpoint(), status_class, requests: 1 });
            }
        }
        if let Some((request_id, code)) = call.error {
            self.note(call, request_id, code);
        }
        self.used(call);
    }

    fn note(&mut self, call: &MeteredRequest<'_>, request_id: Uuid, code: &'static str) {
        if self.errors.len() == ERRORS_KEPT {
            self.errors.pop_front();
        }
        self.errors.push_back(FailedRequest {
            request_id,
            answered_at: call.at,
            endpoint: call.endpoint(),
            status: i16::try_from(call.status).unwrap_or_default(),
            code,
        });
    }

    fn used(&mut self, call: &MeteredRequest<'_>) {
        // Calls that end at once may come in another order than their times.
        if call.at < self.last.used_at {
            return;
        }
        self.last.used_at = call.at;
        self.last.address = call.address;
        // As a rule a program says the same each time.
        if self.last.user_agent.as_bytes() != call.user_agent {
            self.last.user_agent = text::harmless(&String::from_utf8_lossy(call.user_agent), USER_AGENT_MAX);
        }
    }
}

impl MeteredRequest<'_> {
    fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

impl UsageCounts {
    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.last_uses.is_empty()
    }

    fn gather(&mut self, key: &PublicKey, counts: KeyCounts) {
        let KeyCounts { client, tallies, last, errors } = counts;
        self.tallies.extend(tallies.into_iter().map(|tally| (client.clone(), key.clone(), tally)));
        self.errors.extend(errors.into_iter().map(|error| (client.clone(), key.clone(), error)));
        self.last_uses.push((client, key.clone(), last));
    }

    fn sort(&mut self) {
        fn of<T>((client, key, _): &(ClientId, PublicKey, T)) -> (&str, &str) {
            (client.as_str(), key.as_str())
        }
        self.last_uses.sort_by(|a, b| of(a).cmp(&of(b)));
        self.errors.sort_by_key(|(_, _, error)| error.request_id);
        self.tallies.sort_by(|a, b| of(a).cmp(&of(b)).then_with(|| a.2.cmp(&b.2)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(client: &'a ClientId, key: &'a PublicKey) -> MeteredRequest<'a> {
        MeteredRequest {
            client,
            public_key: key,
            at: "2026-11-25T10:59:59.5Z".parse().unwrap(),
            method: "GET",
            route: "/api/sessions",
            status: 200,
            address: "192.0.2.7".parse().unwrap(),
            user_agent: b"curl/8.5",
            error: None,
        }
    }

    fn names() -> (ClientId, [PublicKey; 2]) {
        let keys = ["uptok_AAAAAAAAAAAA", "uptok_BBBBBBBBBBBA"].map(|text| text.parse().unwrap());
        ("cl_4f9k2m7qxw".parse().unwrap(), keys)
    }

    #[test]
    fn calls_are_counted_by_key_hour_endpoint_and_class() {
        let (client, [a, b]) = names();
        let meter = UsageMeter::new(true);
        meter.count(&call(&client, &b));
        for status in [200, 206, 404, 429, 503, 304] {
            meter.count(&MeteredRequest { status, ..call(&client, &a) });
        }
        meter.count(&MeteredRequest { at: "2026-11-25T11:00:00Z".parse().unwrap(), ..call(&client, &a) });
        meter.count(&MeteredRequest { method: "POST", ..call(&client, &a) });

        let counts = meter.take();

        let hour = "2026-11-25T10:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp() / 3600;
        let row = |(_, key, it): &(_, _, HourCount)| {
            (*key == b, it.hour - hour, it.endpoint.clone(), it.status_class, it.requests)
        };
        let rows: Vec<_> = counts.tallies.iter().map(row).collect();
        let (get, post) = ("GET /api/sessions".to_owned(), "POST /api/sessions".to_owned());
        let expected = [
            (false, 0, get.clone(), 2, 2),
            (false, 0, get.clone(), 3, 1),
            (false, 0, get.clone(), 4, 2),
            (false, 0, get.clone(), 5, 1),
            (false, 0, post, 2, 1),
            (false, 1, get.clone(), 2, 1),
            (true, 0, get, 2, 1),
        ];
        assert_eq!(rows, expected);
        assert!(meter.take().is_empty(), "what is taken is gone");
    }

    #[test]
    fn eight_threads_lose_no_call() {
        let (client, keys) = names();
        let meter = UsageMeter::new(true);
        let mut requests = 0;
        std::thread::scope(|scope| {
            let counting: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| (0..10_000).for_each(|nth| meter.count(&call(&client, &keys[nth % 2]))))
                })
                .collect();
            while !counting.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                requests += meter.take().tallies.iter().map(|(_, _, it)| it.requests).sum::<i64>();
            }
        });
        requests += meter.take().tallies.iter().map(|(_, _, it)| it.requests).sum::<i64>();

        assert_eq!(requests, 80_000);
    }

    #[test]
    fn the_last_use_is_the_last_and_harmless() {
        let (client, [key, _]) = names();
        let meter = UsageMeter::new(true);
        let long = [b"<b>\x1b[31m\xff".as_slice(), &[b'x'; 500]].concat();
        meter.count(&MeteredRequest { user_agent: &long, ..call(&client, &key) });
        let before = call(&client, &key).at - chrono::TimeDelta::seconds(1);
        meter.count(&MeteredRequest { at: before, ..call(&client, &key) });

        let last = meter.take().last_uses.remove(0).2;

        assert_eq!(last.used_at, call(&client, &key).at);
        assert!(last.user_agent.starts_with("<b>[31m\u{fffd}x"));
        assert_eq!(last.user_agent.chars().count(), USER_AGENT_MAX);
    }

    #[test]
    fn the_last_errors_are_kept_and_no_more() {
        let (client, [key, _]) = names();
        let meter = UsageMeter::new(true);
        let ids: Vec<Uuid> = (0..150).map(|_| Uuid::now_v7()).collect();
        for id in &ids {
            meter.count(&MeteredRequest {
                status: 403,
                error: Some((*id, "missing_scope")),
                ..call(&client, &key)
            });
        }

        let errors = meter.take().errors;

        let kept: Vec<Uuid> = errors.iter().map(|(_, _, error)| error.request_id).collect();
        assert_eq!(kept, ids[50..]);
        assert_eq!((errors[0].2.status, errors[0].2.code), (403, "missing_scope"));
    }

    #[test]
    fn a_meter_that_is_off_counts_nothing() {
        let (client, [key, _]) = names();
        let meter = UsageMeter::new(false);
        meter.count(&call(&client, &key));
        assert!(!meter.is_on() && meter.take().is_empty());
    }
}
