//! What counting requests costs: the first page of a server that counts and of one that does not, by turns.

use std::fmt;

use super::{
    PER_PAGE,
    database::{Database, Filled},
    load::{Load, Requests, WARM_UP_SECONDS, median},
    scenario::Figure,
    server::{KEEPS_NOTHING, Server},
    settings::Settings,
};

/// Both servers ask for the same page with so many callers at once.
const FIGURE: Figure = Figure { pages: 1, per_page: PER_PAGE, connections: 16, keeps_pages: false, bar: BAR };
/// How often both are measured.
const ROUNDS: usize = 4;
/// What a server that counts does of what one does that does not, at least.
const BAR: f64 = 0.95;

/// What was measured: medians, first of the server that counts.
pub(crate) struct Metering {
    per_second: [f64; 2],
    ratio: f64,
    micros: Option<[f64; 2]>,
}

/// The servers take turns, so that what else the machine does falls on both.
pub(crate) async fn measure(
    database: &Database,
    filled: &Filled,
    load: &Load,
    settings: &Settings,
) -> anyhow::Result<Metering> {
    let mut servers = Vec::new();
    for (name, metering) in [("counting", "on"), ("not-counting", "off")] {
        let server = Server::start(database, name, &[("UPTOK_METERING", metering), KEEPS_NOTHING])?;
        server.check(&filled.key, settings.sessions).await?;
        load.wrk(&FIGURE, &server, WARM_UP_SECONDS).await?;
        servers.push(server);
    }
    let mut rounds = Vec::new();
    for nth in 0..ROUNDS {
        let mut round = Vec::new();
        // Each goes first as often as second: what comes after what shows in rates.
        for index in [nth % 2, 1 - nth % 2] {
            round.push((index, load.wrk(&FIGURE, &servers[index], settings.seconds).await?));
        }
        round.sort_by_key(|(index, _)| *index);
        rounds.push(round.into_iter().map(|(_, requests)| requests).collect::<Vec<_>>());
    }
    let of = |get: &dyn Fn(&[Requests]) -> f64| median(rounds.iter().map(|round| get(round)).collect());
    let cpu = |server: usize| {
        let each = rounds.iter().map(|round| round[server].micros.map(|micros| micros.server));
        each.collect::<Option<Vec<_>>>().map(median)
    };
    Ok(Metering {
        per_second: [of(&|round| round[0].per_second), of(&|round| round[1].per_second)],
        ratio: of(&|round| round[0].per_second / round[1].per_second),
        micros: cpu(0).zip(cpu(1)).map(<[f64; 2]>::from),
    })
}

impl fmt::Display for Metering {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([on, off], ratio) = (self.per_second, self.ratio);
        let verdict = if ratio < BAR { ", below the bar" } else { "" };
        write!(
            formatter,
            "Counting requests ({}): {on:.0} requests/s, {off:.0} without; ratio {ratio:.3} of at least {BAR}{verdict}",
            FIGURE.name()
        )?;
        match self.micros {
            Some([on, off]) => write!(formatter, "; server CPU {on:.1} µs each, {off:.1} without"),
            None => Ok(()),
        }
    }
}
