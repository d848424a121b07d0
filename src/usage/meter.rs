//! Counts requests in memory. This costs a request one mutex and a few comparisons.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    ids::{ClientId, PublicKey},
    text,
};

/// Number of mutexes that the keys share. A key always uses the same one.
const SHARDS: usize = 16;
/// Maximum number of keys counted in a shard between two flushes. Only authorized requests are counted, and flushes are a
/// second apart, so this is only reached if PostgreSQL is unavailable for long.
const KEYS_MAX: usize = 10_000;
/// Maximum number of recent errors kept: in memory per key, in PostgreSQL per client.
pub(crate) const ERRORS_MAX: usize = 100;
/// Maximum length of a stored `User-Agent`, in characters.
const USER_AGENT_MAX: usize = 200;

/// An authorized API request that was answered.
#[derive(Clone, Debug)]
pub struct MeteredRequest<'a> {
    pub client: &'a ClientId,
    pub public_key: &'a PublicKey,
    /// When the response started; a stream may end much later.
    pub answered_at: DateTime<Utc>,
    /// Such as `GET`.
    pub method: &'a str,
    /// The pattern of the path, such as `/api/sessions/{session_id}`.
    pub route: &'a str,
    /// HTTP status, 200 to 599.
    pub status: u16,
    pub address: IpAddr,
    /// The `User-Agent` header as sent; empty if there was none.
    pub user_agent: &'a [u8],
    /// Present for statuses from 400.
    pub error: Option<MeteredError>,
}

/// What identifies the error of a failed request in the log and to its sender.
#[derive(Clone, Copy, Debug)]
pub struct MeteredError {
    pub request_id: Uuid,
    /// The `code` of the problem in the response, such as `missing_scope`.
    pub code: &'static str,
}

#[derive(Debug)]
pub struct UsageMeter {
    /// `None` if the meter is off.
    shards: Option<[Mutex<HashMap<PublicKey, UnflushedKeyCounts>>; SHARDS]>,
}

/// Counts of one key since the last flush.
#[derive(Debug)]
struct UnflushedKeyCounts {
    client: ClientId,
    hour_counts: Vec<EndpointHourCount>,
    latest: LatestRequest,
    errors: VecDeque<FailedRequest>,
}

/// Number of requests of a key in the same hour, to the same endpoint, with the same class of status.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndpointHourCount {
    /// Hours since 1970-01-01T00:00:00Z.
    pub(crate) hour: i64,
    /// Such as `GET /api/sessions`.
    pub(crate) endpoint: String,
    /// First digit of the status, 2 to 5.
    pub(crate) status_class: i16,
    pub(crate) requests: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LatestRequest {
    pub(crate) used_at: DateTime<Utc>,
    pub(crate) address: IpAddr,
    /// Empty if none was sent.
    pub(crate) user_agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailedRequest {
    pub(crate) request_id: Uuid,
    pub(crate) answered_at: DateTime<Utc>,
    pub(crate) endpoint: String,
    pub(crate) status: i16,
    pub(crate) code: &'static str,
}

/// A row to store about a key.
#[derive(Debug)]
pub(crate) struct UsageRow<T> {
    pub(crate) client: ClientId,
    pub(crate) public_key: PublicKey,
    pub(crate) values: T,
}

/// All counts since the last flush. Rows are in the order of their tables' primary keys: nodes that store at the same
/// time lock rows in the same order and cannot deadlock.
#[derive(Debug, Default)]
pub struct UsageDeltas {
    pub(crate) hour_counts: Vec<UsageRow<EndpointHourCount>>,
    pub(crate) last_uses: Vec<UsageRow<LatestRequest>>,
    pub(crate) errors: Vec<UsageRow<FailedRequest>>,
}

impl UsageMeter {
    #[must_use]
    pub fn new(is_on: bool) -> Self {
        Self { shards: is_on.then(Default::default) }
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.shards.is_some()
    }

    pub fn count(&self, request: &MeteredRequest<'_>) {
        let Some(shards) = &self.shards else { return };
        let mut keys = lock(&shards[shard_index(request.public_key)]);
        if let Some(counts) = keys.get_mut(request.public_key) {
            counts.add(request);
        } else if keys.len() < KEYS_MAX {
            let mut counts = UnflushedKeyCounts::new(request);
            counts.add(request);
            keys.insert(request.public_key.clone(), counts);
        } else {
            tracing::warn!("Too many keys are counted at once; a call of another was not counted");
        }
    }

    /// Returns all counts and resets them to zero.
    #[must_use]
    pub fn take(&self) -> UsageDeltas {
        let mut all = UsageDeltas::default();
        for shard in self.shards.iter().flatten() {
            let keys = std::mem::take(&mut *lock(shard));
            for (public_key, counts) in keys {
                all.append(&public_key, counts);
            }
        }
        all.sort();
        all
    }
}

impl UsageMeter {
    /// Counts again what was taken and cannot be stored yet.
    pub(crate) fn put_back(&self, taken: UsageDeltas) {
        for UsageRow { client, public_key, values } in taken.last_uses {
            self.with_keys_like(&public_key, |keys| {
                if keys.len() < KEYS_MAX || keys.contains_key(&public_key) {
                    let new = UnflushedKeyCounts::from_latest(client, values.clone());
                    keys.entry(public_key.clone()).or_insert(new).put_back_latest(values);
                }
            });
        }
        for UsageRow { public_key, values, .. } in taken.hour_counts {
            self.with_counts(&public_key, |counts| counts.put_back_hour(values));
        }
        for UsageRow { public_key, values, .. } in taken.errors.into_iter().rev() {
            self.with_counts(&public_key, |counts| counts.put_back_error(values));
        }
    }

    /// Calls `work` with the counts of the key, if it has any.
    fn with_counts(&self, key: &PublicKey, work: impl FnOnce(&mut UnflushedKeyCounts)) {
        self.with_keys_like(key, |keys| {
            if let Some(counts) = keys.get_mut(key) {
                work(counts);
            }
        });
    }

    /// Calls `work` with the keys that share a mutex with this one.
    fn with_keys_like(
        &self,
        key: &PublicKey,
        work: impl FnOnce(&mut HashMap<PublicKey, UnflushedKeyCounts>),
    ) {
        if let Some(shards) = &self.shards {
            work(&mut lock(&shards[shard_index(key)]));
        }
    }
}

/// Ignores poisoning: the counts in a shard are valid after every statement, so a panic cannot leave them inconsistent.
fn lock<T>(shard: &Mutex<T>) -> MutexGuard<'_, T> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The characters of a public key are random, so the last one spreads keys evenly enough.
fn shard_index(key: &PublicKey) -> usize {
    key.as_str().bytes().last().map_or(0, |byte| usize::from(byte) % SHARDS)
}

impl UnflushedKeyCounts {
    /// Takes client and time from `request`, but does not count it.
    fn new(request: &MeteredRequest<'_>) -> Self {
        let latest = LatestRequest {
            used_at: request.answered_at,
            address: request.address,
            user_agent: String::new(),
        };
        Self::from_latest(request.client.clone(), latest)
    }

    fn from_latest(client: ClientId, latest: LatestRequest) -> Self {
        Self { client, hour_counts: Vec::new(), latest, errors: VecDeque::new() }
    }

    fn put_back_latest(&mut self, taken: LatestRequest) {
        if self.latest.used_at < taken.used_at {
            self.latest = taken;
        }
    }

    fn put_back_hour(&mut self, taken: EndpointHourCount) {
        let is_same = |count: &&mut EndpointHourCount| {
            (count.hour, count.status_class, &count.endpoint)
                == (taken.hour, taken.status_class, &taken.endpoint)
        };
        match self.hour_counts.iter_mut().find(is_same) {
            Some(count) => count.requests += taken.requests,
            None => self.hour_counts.push(taken),
        }
    }

    /// The error is older than those counted since.
    fn put_back_error(&mut self, taken: FailedRequest) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push_front(taken);
        }
    }

    fn add(&mut self, request: &MeteredRequest<'_>) {
        self.add_to_hour(request);
        if let Some(error) = request.error {
            self.add_error(request, error);
        }
        self.update_latest(request);
    }

    fn add_to_hour(&mut self, request: &MeteredRequest<'_>) {
        let hour = request.answered_at.timestamp().div_euclid(3600);
        let status_class = i16::try_from((request.status / 100).clamp(2, 5)).unwrap_or_default();
        let is_same = |count: &&mut EndpointHourCount| {
            count.hour == hour
                && count.status_class == status_class
                && count.endpoint.split_once(' ') == Some((request.method, request.route))
        };
        if let Some(count) = self.hour_counts.iter_mut().find(is_same) {
            count.requests += 1;
        } else {
            let endpoint = request.endpoint();
            self.hour_counts.push(EndpointHourCount { hour, endpoint, status_class, requests: 1 });
        }
    }

    fn add_error(&mut self, request: &MeteredRequest<'_>, error: MeteredError) {
        if self.errors.len() == ERRORS_MAX {
            self.errors.pop_front();
        }
        self.errors.push_back(FailedRequest {
            request_id: error.request_id,
            answered_at: request.answered_at,
            endpoint: request.endpoint(),
            status: i16::try_from(request.status).unwrap_or_default(),
            code: error.code,
        });
    }

    fn update_latest(&mut self, request: &MeteredRequest<'_>) {
        // Requests that end at the same moment may be counted in another order than that of their times.
        if request.answered_at < self.latest.used_at {
            return;
        }
        self.latest.used_at = request.answered_at;
        self.latest.address = request.address;
        // Programs usually send the same `User-Agent` each time, so most requests do not sanitize it again.
        if self.latest.user_agent.as_bytes() != request.user_agent {
            self.latest.user_agent =
                text::sanitize(&String::from_utf8_lossy(request.user_agent), USER_AGENT_MAX);
        }
    }
}

impl MeteredRequest<'_> {
    fn endpoint(&self) -> String {
        format!("{} {}", self.method, self.route)
    }
}

impl<T> UsageRow<T> {
    fn key(&self) -> (&str, &str) {
        (self.client.as_str(), self.public_key.as_str())
    }
}

impl UsageDeltas {
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.last_uses.is_empty()
    }

    /// The clients of the counts, each once and in order.
    pub(crate) fn clients(&self) -> Vec<&str> {
        let mut clients: Vec<&str> = self.last_uses.iter().map(|row| row.client.as_str()).collect();
        clients.dedup();
        clients
    }

    /// Splits the counts by `part_of` their clients. The order of rows stays. Counts of clients without a part are dropped.
    pub(crate) fn split<T: Ord>(self, part_of: impl Fn(&ClientId) -> Option<T>) -> BTreeMap<T, Self> {
        let mut parts: BTreeMap<T, Self> = BTreeMap::new();
        for row in self.hour_counts {
            if let Some(part) = part_of(&row.client) {
                parts.entry(part).or_default().hour_counts.push(row);
            }
        }
        for row in self.last_uses {
            if let Some(part) = part_of(&row.client) {
                parts.entry(part).or_default().last_uses.push(row);
            }
        }
        for row in self.errors {
            if let Some(part) = part_of(&row.client) {
                parts.entry(part).or_default().errors.push(row);
            }
        }
        parts
    }

    fn append(&mut self, public_key: &PublicKey, counts: UnflushedKeyCounts) {
        fn row<T>(client: &ClientId, public_key: &PublicKey, values: T) -> UsageRow<T> {
            UsageRow { client: client.clone(), public_key: public_key.clone(), values }
        }
        let UnflushedKeyCounts { client, hour_counts, latest, errors } = counts;
        self.hour_counts.extend(hour_counts.into_iter().map(|count| row(&client, public_key, count)));
        self.errors.extend(errors.into_iter().map(|error| row(&client, public_key, error)));
        self.last_uses.push(row(&client, public_key, latest));
    }

    fn sort(&mut self) {
        self.last_uses.sort_by(|a, b| a.key().cmp(&b.key()));
        self.errors.sort_by_key(|row| row.values.request_id);
        self.hour_counts.sort_by(|a, b| a.key().cmp(&b.key()).then_with(|| a.values.cmp(&b.values)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(client: &'a ClientId, key: &'a PublicKey) -> MeteredRequest<'a> {
        MeteredRequest {
            client,
            public_key: key,
            answered_at: "2026-11-25T10:59:59.5Z".parse().unwrap(),
            method: "GET",
            route: "/api/sessions",
            status: 200,
            address: "192.0.2.7".parse().unwrap(),
            user_agent: b"curl/8.5",
            error: None,
        }
    }

    fn client_and_keys() -> (ClientId, [PublicKey; 2]) {
        let keys = ["uptok_AAAAAAAAAAAA", "uptok_BBBBBBBBBBBA"].map(|text| text.parse().unwrap());
        ("cl_4f9k2m7qxw".parse().unwrap(), keys)
    }

    #[test]
    fn requests_are_counted_by_key_hour_endpoint_and_class() {
        let (client, [a, b]) = client_and_keys();
        let meter = UsageMeter::new(true);
        meter.count(&request(&client, &b));
        for status in [200, 206, 404, 429, 503, 304] {
            meter.count(&MeteredRequest { status, ..request(&client, &a) });
        }
        let answered_at = "2026-11-25T11:00:00Z".parse().unwrap();
        meter.count(&MeteredRequest { answered_at, ..request(&client, &a) });
        meter.count(&MeteredRequest { method: "POST", ..request(&client, &a) });

        let counts = meter.take();

        let hour = "2026-11-25T10:00:00Z".parse::<DateTime<Utc>>().unwrap().timestamp() / 3600;
        let rows: Vec<_> = counts
            .hour_counts
            .iter()
            .map(|UsageRow { public_key, values, .. }| {
                let endpoint = values.endpoint.clone();
                (*public_key == b, values.hour - hour, endpoint, values.status_class, values.requests)
            })
            .collect();
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
        assert!(meter.take().is_empty(), "counts are taken only once");
    }

    #[test]
    fn eight_threads_lose_no_request() {
        let (client, keys) = client_and_keys();
        let meter = UsageMeter::new(true);
        let take_total = || meter.take().hour_counts.iter().map(|row| row.values.requests).sum::<i64>();
        let mut requests = 0;
        std::thread::scope(|scope| {
            let counting: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        (0..10_000).for_each(|nth| meter.count(&request(&client, &keys[nth % 2])));
                    })
                })
                .collect();
            while !counting.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                requests += take_total();
            }
        });
        requests += take_total();

        assert_eq!(requests, 80_000);
    }

    #[test]
    fn the_last_use_is_the_latest_and_sanitized() {
        let (client, [key, _]) = client_and_keys();
        let meter = UsageMeter::new(true);
        let long = [b"<b>\x1b[31m\xff".as_slice(), &[b'x'; 500]].concat();
        meter.count(&MeteredRequest { user_agent: &long, ..request(&client, &key) });
        let answered_at = request(&client, &key).answered_at - chrono::TimeDelta::seconds(1);
        meter.count(&MeteredRequest { answered_at, ..request(&client, &key) });

        let latest = meter.take().last_uses.remove(0).values;

        assert_eq!(latest.used_at, request(&client, &key).answered_at);
        assert!(latest.user_agent.starts_with("<b>[31m\u{fffd}x"));
        assert_eq!(latest.user_agent.chars().count(), USER_AGENT_MAX);
    }

    #[test]
    fn only_the_most_recent_errors_are_kept() {
        let (client, [key, _]) = client_and_keys();
        let meter = UsageMeter::new(true);
        let ids: Vec<Uuid> = (0..150).map(|_| Uuid::now_v7()).collect();
        for id in &ids {
            meter.count(&MeteredRequest {
                status: 403,
                error: Some(MeteredError { request_id: *id, code: "missing_scope" }),
                ..request(&client, &key)
            });
        }

        let errors = meter.take().errors;

        let kept: Vec<Uuid> = errors.iter().map(|row| row.values.request_id).collect();
        assert_eq!(kept, ids[50..]);
        assert_eq!((errors[0].values.status, errors[0].values.code), (403, "missing_scope"));
    }

    #[test]
    fn a_meter_that_is_off_counts_nothing() {
        let (client, [key, _]) = client_and_keys();
        let meter = UsageMeter::new(false);
        meter.count(&request(&client, &key));
        assert!(!meter.is_on() && meter.take().is_empty());
    }

    #[test]
    fn what_is_put_back_is_added_to_what_was_counted_since() {
        let (client, [key, other]) = client_and_keys();
        let fail = |meter: &UsageMeter, request_id: Uuid| {
            let error = Some(MeteredError { request_id, code: "missing_scope" });
            meter.count(&MeteredRequest { status: 403, error, ..request(&client, &key) });
        };
        let ids: Vec<Uuid> = (0..150).map(|_| Uuid::now_v7()).collect();
        let meter = UsageMeter::new(true);
        meter.count(&request(&client, &key));
        meter.count(&request(&client, &other));
        ids[..90].iter().for_each(|id| fail(&meter, *id));
        let taken = meter.take();
        meter.count(&request(&client, &key));
        ids[90..].iter().for_each(|id| fail(&meter, *id));

        meter.put_back(taken);

        let counts = meter.take();
        let requests: Vec<_> = counts.hour_counts.iter().map(|row| row.values.requests).collect();
        assert_eq!(requests, [2, 150, 1]);
        let kept: Vec<Uuid> = counts.errors.iter().map(|row| row.values.request_id).collect();
        assert_eq!(kept, ids[50..]);
        assert_eq!(counts.last_uses.len(), 2);
    }

    #[test]
    fn counts_are_split_by_client() {
        let (client, [key, _]) = client_and_keys();
        let (other, other_key) = (ClientId::generate(), "uptok_CCCCCCCCCCCC".parse().unwrap());
        let meter = UsageMeter::new(true);
        meter.count(&request(&client, &key));
        meter.count(&request(&other, &other_key));
        let counts = meter.take();
        let mut clients = [client.as_str(), other.as_str()];
        clients.sort_unstable();
        assert_eq!(counts.clients(), clients);

        let parts = counts.split(|it| (*it == client).then_some(7));

        assert_eq!(parts.keys().collect::<Vec<_>>(), [&7]);
        assert_eq!(parts[&7].clients(), [client.as_str()]);
        assert_eq!((parts[&7].hour_counts.len(), parts[&7].errors.len()), (1, 0));
    }
}
