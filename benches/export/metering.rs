//! The cost of counting requests: alternates between a server with `UPTOK_METERING=on` and one with `off`.

use std::fmt;

use super::{
    PER_PAGE,
    database::{BenchDatabase, MeasuredClient},
    load::{LoadTest, WARM_UP_SECONDS, WrkResult, median},
    scenario::Scenario,
    server::{PAGE_CACHE_OFF, ServerProcess},
    settings::BenchSettings,
};

const SCENARIO: Scenario =
    Scenario { pages: 1, per_page: PER_PAGE, connections: 16, page_cache: false, min_ratio: MIN_RATIO };
/// Number of measurements of each server.
const ROUNDS: usize = 4;
/// Minimum of the request rate with counting ÷ the rate without.
const MIN_RATIO: f64 = 0.95;

/// Medians. In each array the first value is with counting, the second without.
pub(crate) struct MeteringCost {
    per_second: [f64; 2],
    ratio: f64,
    cpu_micros: Option<[f64; 2]>,
}

/// The servers take turns, so that other load on the machine affects both equally.
pub(crate) async fn measure(
    database: &BenchDatabase,
    measured_client: &MeasuredClient,
    load: &LoadTest,
    settings: &BenchSettings,
) -> anyhow::Result<MeteringCost> {
    let mut servers = Vec::new();
    for (name, metering) in [("counting", "on"), ("not-counting", "off")] {
        let server = ServerProcess::start(database, name, &[("UPTOK_METERING", metering), PAGE_CACHE_OFF])?;
        server.check_when_ready(&measured_client.key, settings.sessions).await?;
        load.run_wrk(&SCENARIO, &server, WARM_UP_SECONDS).await?;
        servers.push(server);
    }
    let mut rounds = Vec::new();
    for round_index in 0..ROUNDS {
        let mut round = Vec::new();
        // Alternate which server goes first, because the order affects the rates.
        for index in [round_index % 2, 1 - round_index % 2] {
            round.push((index, load.run_wrk(&SCENARIO, &servers[index], settings.seconds).await?));
        }
        round.sort_by_key(|(index, _)| *index);
        rounds.push(round.into_iter().map(|(_, requests)| requests).collect::<Vec<_>>());
    }
    let median_of =
        |get: &dyn Fn(&[WrkResult]) -> f64| median(rounds.iter().map(|round| get(round)).collect());
    let cpu = |server: usize| {
        let each = rounds.iter().map(|round| round[server].cpu_micros.map(|micros| micros.server));
        each.collect::<Option<Vec<_>>>().map(median)
    };
    Ok(MeteringCost {
        per_second: [median_of(&|round| round[0].per_second), median_of(&|round| round[1].per_second)],
        ratio: median_of(&|round| round[0].per_second / round[1].per_second),
        cpu_micros: cpu(0).zip(cpu(1)).map(<[f64; 2]>::from),
    })
}

impl fmt::Display for MeteringCost {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([on, off], ratio) = (self.per_second, self.ratio);
        let verdict = if ratio < MIN_RATIO { ", below the bar" } else { "" };
        write!(
            formatter,
            "Counting requests ({}): {on:.0} requests/s, {off:.0} without; ratio {ratio:.3} of at least {MIN_RATIO}{verdict}",
            SCENARIO.name()
        )?;
        match self.cpu_micros {
            Some([on, off]) => write!(formatter, "; server CPU {on:.1} µs per request, {off:.1} without"),
            None => Ok(()),
        }
    }
}
