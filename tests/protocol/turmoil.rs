//! Sessions whose readers come, go and take each other's place at any moment, on any shard, with parcels on their way.
//! What must hold for any seed: whoever goes on from the last id it has hears everything once, in order, and an end.
//! Next: `shards`, which carries the parcels.

use serde_json::{Value, json};

use crate::client::{Session, accept, answering, catalog_snapshot, text};
use crate::shards::{Carry, Event, Shards};

const SEEDS: u64 = 60;

/// Somebody who wants to hear all of one stream.
struct Reader {
    line: usize,
    last: String,
    heard: Vec<Value>,
    /// Events of the present line that were heard before.
    taken: usize,
}

impl Reader {
    fn start(shards: &mut Shards, request: &[u8]) -> Self {
        let line = shards.open(request);
        let last = shards.last_id(line).expect("a stream is primed");
        Self { line, last, heard: Vec::new(), taken: 0 }
    }

    fn hear(&mut self, shards: &Shards) {
        let (_, events) = shards.stream(self.line);
        for event in events.get(self.taken..).unwrap_or_default() {
            self.heard.extend(Event::message(event));
            if let Some(id) = &event.id {
                self.last.clone_from(id);
            }
        }
        self.taken = events.len();
    }

    /// A reader that an older wish of its own has displaced was told so, and comes again.
    fn come_again(&mut self, session: &Session, shards: &mut Shards) {
        if shards.is_answered(self.line) {
            self.hear(shards);
            self.line = shards.open(&session.get(Some(&self.last)));
            self.taken = 0;
        }
    }

    /// Goes on elsewhere; the old connection may be cut first, later, or never.
    fn go_on(&mut self, session: &Session, shards: &mut Shards, dice: &mut Dice) {
        self.hear(shards);
        let old = self.line;
        if dice.roll(2) == 0 {
            shards.cut_only(old);
            shards.walk(dice.roll(4));
        }
        self.line = shards.connect();
        self.taken = 0;
        shards.send_only(self.line, &session.get(Some(&self.last)));
        shards.walk(dice.roll(4));
        if dice.roll(2) == 0 {
            shards.cut_only(old);
        }
    }
}

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

#[test]
fn whoever_goes_on_from_its_last_id_hears_everything_once() {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let count = [1, 2, 3, 8][dice.roll(4)];
        let mut shards = Shards::new(count, Carry::Shuffled(seed), &catalog_snapshot());
        let session = Session::start(&mut shards, "2025-11-25", answering());
        for uri in ["docs://motto", "me://name"] {
            shards.ask(&session.request(1, "resources/subscribe", json!({"uri": uri})));
        }
        let params = json!({"name": "report", "arguments": {}, "_meta": {"progressToken": "p"}});
        let mut readers = [
            Reader::start(&mut shards, &session.get(None)),
            Reader::start(&mut shards, &session.request("a", "tools/call", params.clone())),
            Reader::start(&mut shards, &session.request("b", "tools/call", params)),
            Reader::start(&mut shards, &session.call("c", "ask", json!({}))),
        ];
        let mut updates = Vec::new();
        let mut is_replied = false;
        for _ in 0..80 {
            let who = dice.roll(readers.len());
            match dice.roll(9) {
                0..=3 => readers[who].go_on(&session, &mut shards, &mut dice),
                4 | 5 => {
                    let uri = ["docs://motto", "me://name"][dice.roll(2)];
                    updates.push(uri);
                    shards.update_only(uri);
                }
                6 => shards.pass(dice.roll(40) as u64),
                7 => {
                    readers[who].hear(&shards);
                    if let Some(question) = readers[3].heard.first().filter(|_| !is_replied) {
                        let reply = session.reply(question, accept(json!({"name": "Ada"})));
                        let line = shards.connect();
                        shards.send_only(line, &reply);
                        is_replied = true;
                    }
                }
                _ => shards.walk(dice.roll(20)),
            }
        }
        shards.settle();
        readers.iter_mut().for_each(|reader| reader.come_again(&session, &mut shards));
        (0..4).for_each(|_| shards.pass(100));
        for reader in &mut readers {
            reader.hear(&shards);
        }
        let told: Vec<&str> =
            readers[0].heard.iter().filter_map(|one| one["params"]["uri"].as_str()).collect();
        assert_eq!(told, updates, "seed {seed}");
        for (reader, id) in readers[1..3].iter().zip(["a", "b"]) {
            assert_reported(&reader.heard, id, seed);
        }
        if !is_replied {
            readers[3].hear(&shards);
            let question = readers[3].heard.first().unwrap_or_else(|| panic!("seed {seed}: no question"));
            shards.ask(&session.reply(question, accept(json!({"name": "Ada"}))));
        }
        readers[3].hear(&shards);
        assert_eq!(readers[3].heard.len(), 2, "seed {seed}: {:?}", readers[3].heard);
        assert_eq!(text(&readers[3].heard[1]), "hello Ada", "seed {seed}");
        for reader in &readers[1..] {
            assert!(shards.is_answered(reader.line), "seed {seed}: a stream ends with its answer");
        }
        shards.cut_all();
        shards.pass(301_000);
        assert_eq!((shards.streams(), shards.running()), (0, 0), "seed {seed}");
    }
}

#[track_caller]
fn assert_reported(heard: &[Value], id: &str, seed: u64) {
    let words: Vec<String> = heard.iter().map(short).collect();
    let expect = ["1", "warning 1", "2", "warning 2", "3", "warning 3", "reported"];
    assert_eq!(words, expect, "seed {seed} {id}");
    assert_eq!(heard[6]["id"], id);
}

fn short(message: &Value) -> String {
    let params = &message["params"];
    match (params["progress"].as_u64(), params["data"].as_str()) {
        (Some(step), _) => step.to_string(),
        (None, Some(log)) => log.to_owned(),
        (None, None) => text(message),
    }
}

#[test]
fn a_session_that_ends_in_turmoil_leaves_nothing_behind() {
    for seed in 0..SEEDS {
        let mut dice = Dice(seed);
        let count = [2, 3, 8][dice.roll(3)];
        let mut shards = Shards::new(count, Carry::Shuffled(seed), &catalog_snapshot());
        let session = Session::start(&mut shards, "2025-11-25", answering());
        shards.ask(&session.request(1, "resources/subscribe", json!({"uri": "docs://motto"})));
        let mut readers: Vec<Reader> =
            (0..3).map(|id| Reader::start(&mut shards, &session.call(id, "ask", json!({})))).collect();
        readers.push(Reader::start(&mut shards, &session.get(None)));
        for _ in 0..10 {
            let who = dice.roll(readers.len());
            readers[who].go_on(&session, &mut shards, &mut dice);
        }
        let mut late = Vec::new();
        for at in 0..6 {
            let line = shards.connect();
            late.push(line);
            let request = match (at, dice.roll(4)) {
                (3, _) => session.delete(),
                (_, 0) => session.get(None),
                (_, 1) => session.get(Some(&readers[0].last)),
                (_, 2) => session.call(at, "ask", json!({})),
                _ => session.request(at, "resources/subscribe", json!({"uri": "me://name"})),
            };
            shards.send_only(line, &request);
            shards.walk(dice.roll(6));
        }
        shards.settle();
        for line in late.into_iter().chain(readers.iter().map(|reader| reader.line)) {
            assert!(shards.is_answered(line), "seed {seed}: somebody waits for an ended session");
        }
        assert_eq!(shards.running(), 0, "seed {seed}");
        shards.cut_all();
        shards.pass(301_000);
        assert_eq!(shards.streams(), 0, "seed {seed}");
    }
}
