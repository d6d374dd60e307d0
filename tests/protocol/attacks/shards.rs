//! The same across two shards, and while one of them ends.
//! Next: `bounds`.

use super::*;

/// Two shards that share what is spent and exchange parcels.
struct Pair([Desk; 2]);

impl Pair {
    fn new(snapshot: &Arc<Snapshot>) -> Self {
        let spent = Arc::default();
        let desk = |shard: u16| {
            Desk::of_fleet(snapshot.clone(), shard, 2, Arc::clone(&spent), entropy(u64::from(shard)))
        };
        Self([desk(0), desk(1)])
    }

    /// Carries parcels until there are none.
    fn exchange(&mut self) {
        loop {
            let mut is_quiet = true;
            for from in 0..2 {
                self.0[from].attend();
                while let Some((to, parcel)) = self.0[from].work.hub.poll_parcel() {
                    is_quiet = false;
                    let desk = &mut self.0[usize::from(to)];
                    desk.work.receive(parcel, &desk.snapshot, desk.now);
                }
            }
            if is_quiet {
                return;
            }
        }
    }

    fn pass(&mut self, millis: u64) {
        for desk in &mut self.0 {
            desk.now.ms += millis;
            desk.now.unix_ms += millis;
        }
        self.exchange();
    }
}

fn last_event_id(sent: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(sent);
    text.lines().rev().find_map(|line| line.strip_prefix("id: ").map(str::to_owned))
}

#[test]
fn a_reader_on_another_shard_that_is_sent_away_gets_the_answer_when_it_comes_back() {
    let mut pair = Pair::new(&snapshot(|_| {}));
    let id = session(&mut pair.0[0], KEY, "2025-11-25");
    let mut poster = pair.0[0].connect();
    let sent = pair.0[0].feed(&mut poster, &within(&id, KEY, &call(9, "letting_go_twice")));
    let place = last_event_id(&sent).expect("the stream is primed");
    let mut heard = String::new();
    for _ in 0..3 {
        let mut reader = pair.0[1].connect();
        let get = bare("GET", &id, &format!("Last-Event-ID: {place}\r\n"));
        let mut sent = pair.0[1].feed(&mut reader, &get);
        pair.exchange();
        for _ in 0..6 {
            pair.pass(500);
            sent.extend(pair.0[1].pass(&mut reader, 0));
            pair.exchange();
        }
        heard = String::from_utf8_lossy(&sent).into_owned();
        assert!(heard.ends_with("0\r\n\r\n"), "neither the answer nor a farewell: {heard}");
        pair.0[1].release(reader);
        pair.exchange();
    }
    assert!(heard.contains("back"), "{heard}");
}

#[test]
fn a_drain_ends_every_stream_and_lets_none_begin() {
    let mut pair = Pair::new(&snapshot(|_| {}));
    let id = session(&mut pair.0[0], KEY, "2025-11-25");
    let mut readers = [pair.0[0].connect(), pair.0[1].connect()];
    for (shard, reader) in readers.iter_mut().enumerate().rev() {
        let other = session(&mut pair.0[0], KEY, "2025-11-25");
        pair.0[shard].feed(reader, &bare("GET", &other, ""));
        pair.exchange();
        pair.0[shard].pass(reader, 0);
    }
    let mut late = pair.0[0].connect();
    let (early, rest) = (&bare("GET", &id, "")[..20], &bare("GET", &id, "")[20..]);
    pair.0[0].feed(&mut late, early);
    // Shard 0 has ended before shard 1 hears of the drain.
    let now = pair.0[0].now;
    pair.0[0].work.drain(now);
    while pair.0[0].work.hub.poll_parcel().is_some() {}
    pair.0[1].work.drain(now);
    for (shard, mut reader) in readers.into_iter().enumerate() {
        let desk = &mut pair.0[shard];
        desk.turn(&mut Vec::new(), |turn| reader.handle_drain(turn));
        desk.pass(&mut reader, 0);
        assert!(!is_open(&reader), "shard {shard}");
    }
    pair.0[0].turn(&mut Vec::new(), |turn| late.handle_drain(turn));
    let answer = answers(&pair.0[0].feed(&mut late, rest)).remove(0);
    assert_eq!(answer.status, 503);
    assert!(!is_open(&late));
}

#[test]
fn no_flood_of_news_makes_readers_on_other_shards_deaf() {
    let mut pair = Pair::new(&snapshot(|_| {}));
    let id = session(&mut pair.0[0], KEY, "2025-11-25");
    let noisy = session(&mut pair.0[1], READER_KEY, "2025-03-26");
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let batch = format!("[{}]", vec![cancel; 64].join(","));
    let mut flooding = pair.0[1].connect();
    for _ in 0..100 {
        pair.0[1].feed(&mut flooding, &within(&noisy, READER_KEY, &batch));
    }
    let mut reader = pair.0[1].connect();
    pair.0[1].feed(&mut reader, &bare("GET", &id, ""));
    pair.exchange();
    let change = Change::Lists(Lists { tools: true, ..Lists::default() });
    let now = pair.0[0].now;
    let snapshot = pair.0[0].snapshot.clone();
    pair.0[0].work.receive(Parcel::Change(change), &snapshot, now);
    pair.exchange();
    let heard = pair.0[1].pass(&mut reader, 0);
    assert!(String::from_utf8_lossy(&heard).contains("list_changed"));
}
