//! Money from one account to another, in a transaction of several statements: until COMMIT is sent, a transfer that
//! failed is not there for certain.

use super::{Client, RECONNECT};
use crate::chaos::dice::Dice;
use crate::chaos::session::{ANSWER, Session, outcome_of};
use crate::history::{Did, Event, Outcome, Where};
use crate::journal::boottime;
use crate::judge::ACCOUNTS;
use std::io;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, Error, Statement};

/// From where to where.
#[derive(Clone, Copy)]
struct Order {
    n: i64,
    source: i32,
    target: i32,
    amount: i64,
}

/// What is open: the session, and the statement that notes a transfer.
type Open = (Session, Statement);

/// Transfers until it is stopped.
///
/// # Errors
/// Of the history's file.
pub async fn transfer(mut client: Client, config: Config, seed: u64) -> io::Result<()> {
    let mut dice = Dice::new(seed);
    let mut open: Option<Open> = None;
    let mut n = 0;
    while !client.shared.stopped() {
        let Some(ready) = &open else {
            open = connect(&client, &config).await;
            if open.is_none() {
                sleep(RECONNECT).await;
            }
            continue;
        };
        n += 1;
        let order = order(&mut dice, n);
        let began = boottime();
        let (outcome, at) = match timeout(ANSWER, prepare(&client, ready, order)).await {
            Ok(Ok(at)) => match timeout(ANSWER, ready.0.client.batch_execute("COMMIT")).await {
                Ok(Ok(())) => (Outcome::Acknowledged, at),
                Ok(Err(error)) => (outcome_of(&error), None),
                Err(_) => (Outcome::Unknown, None),
            },
            _ => (Outcome::Refused, None),
        };
        let Order { source, target, amount, .. } = order;
        let did = Did::Transfer { n, source, target, amount };
        client.recorder.record(&Event { client: client.number, began, ended: boottime(), did, outcome, at })?;
        if outcome == Outcome::Acknowledged {
            client.shared.count();
        } else {
            open = None;
        }
        sleep(client.pause).await;
    }
    Ok(())
}

fn order(dice: &mut Dice, n: i64) -> Order {
    let accounts = u64::try_from(ACCOUNTS).unwrap_or(2);
    let account = |number: u64| i32::try_from(number % accounts).unwrap_or(0) + 1;
    let source = dice.between(0, accounts);
    let target = source + dice.between(1, accounts);
    let amount = i64::try_from(dice.between(1, 20)).unwrap_or(1);
    Order { n, source: account(source), target: account(target), amount }
}

/// Everything but the commit.
async fn prepare(client: &Client, (session, note): &Open, order: Order) -> Result<Option<Where>, Error> {
    let Order { n, source, target, amount } = order;
    session.client.batch_execute("BEGIN").await?;
    let mut changes = [(source, -amount), (target, amount)];
    // In one order for all, so that two transfers cannot wait for each other.
    changes.sort_unstable();
    for (account, change) in changes {
        let update = "UPDATE chaos_accounts SET balance = balance + $2 WHERE id = $1";
        session.client.execute(update, &[&account, &change]).await?;
    }
    let term = session.term();
    let values: [&(dyn ToSql + Sync); 7] = [&client.number, &n, &session.instance, &term, &source, &target, &amount];
    let row = session.client.query_one(note, &values).await?;
    Ok(session.place(&row))
}

async fn connect(client: &Client, config: &Config) -> Option<Open> {
    let session = Session::open(config, &client.knowledge).await?;
    let statement = timeout(ANSWER, session.transfer()).await.ok()?.ok()?;
    (session.timeline > 0).then_some((session, statement))
}
