//! Decisions of the pool as tables, then whatever may happen in any order.

use proptest::prelude::*;

use super::*;
use crate::pool::member::{
    FAILURES_MAX, PAUSE_FIRST, PAUSE_MOST, SILENCE_LEAST, TRIAL_ANSWERS, TRIAL_OUTSTANDING_MAX, UNANSWERED_MAX,
};

const QUICK: Ending = Ending::Answered {
    after: Duration::from_millis(1),
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A pool whose signers are all connected.
struct Scene {
    balance: Balance,
    now: Instant,
}

impl Scene {
    fn of(count: usize) -> Self {
        let now = Instant::now();
        let mut balance = Balance::new(count, now);
        (0..count).for_each(|place| balance.note_connected(Place(place), true));
        Self { balance, now }
    }

    fn first(&mut self) -> Place {
        self.assign(&mut Tried::default(), Why::First).unwrap()
    }

    fn assign(&mut self, tried: &mut Tried, why: Why) -> Option<Place> {
        self.balance.assign(tried, why, self.now)
    }

    fn end(&mut self, place: Place, ending: Ending) {
        self.balance.end(place, ending, self.now);
    }

    /// One call after the other, each answered after a millisecond.
    fn answer(&mut self, count: usize) {
        for _ in 0..count {
            let place = self.first();
            self.end(place, QUICK);
        }
    }

    fn standings(&self) -> Vec<Standing> {
        self.balance.members().iter().map(|member| member.standing).collect()
    }

    fn late(&mut self, waits_at: Place, tried: &mut Tried, may_be_hedged: &mut bool) -> Late {
        self.balance.late(waits_at, tried, may_be_hedged, self.now)
    }
}

#[test]
fn the_least_busy_gets_it_and_equals_take_turns() {
    let mut scene = Scene::of(3);
    let order: Vec<usize> = (0..6).map(|_| scene.first().0).collect();
    assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    scene.end(Place(1), QUICK);
    scene.end(Place(1), QUICK);
    assert_eq!([scene.first(), scene.first()], [Place(1), Place(1)]);
}

#[test]
fn a_retry_goes_where_the_call_has_not_been() {
    let mut scene = Scene::of(2);
    let mut tried = Tried::default();
    let first = scene.assign(&mut tried, Why::First).unwrap();
    scene.end(first, Ending::TurnedAway);
    let second = scene.assign(&mut tried, Why::Retry).unwrap();
    assert_ne!(first, second);
    assert_eq!(scene.assign(&mut tried, Why::Retry), None);
    assert_eq!(scene.balance.members()[second.0].counts.retries, 1);
    let mut many = Scene::of(5);
    let mut tried = Tried::default();
    let given = std::iter::from_fn(|| many.assign(&mut tried, Why::Retry)).count();
    assert_eq!(given, 3, "a call does not go round a large pool");
}

#[test]
fn who_is_not_connected_comes_last() {
    let mut scene = Scene::of(3);
    scene.balance.note_connected(Place(0), false);
    scene.balance.note_connected(Place(1), false);
    let mut tried = Tried::default();
    assert_eq!(scene.assign(&mut tried, Why::First), Some(Place(2)));
    assert!(scene.assign(&mut tried, Why::Retry).is_some());
    assert!(scene.assign(&mut tried, Why::Retry).is_some());
}

/// All calls there are wait at a signer that stalls, and the other was ejected a moment ago.
#[test]
fn calls_that_wait_at_an_ejected_signer_are_moved_to_one_on_trial() {
    let mut scene = Scene::of(2);
    scene.balance.members[1].begin(scene.now);
    scene.end(Place(1), Ending::Lost);
    let mut calls = [Tried::default(); 12];
    for tried in &mut calls {
        assert_eq!(scene.assign(tried, Why::First), Some(Place(0)));
    }
    scene.now += SILENCE_LEAST + ms(1);
    assert_eq!(scene.balance.next_probe(scene.now), NextProbe::Now(Place(1)));
    scene.balance.end_probe(Place(1), true, scene.now);
    let mut moved = 0;
    let mut late = |scene: &mut Scene| {
        let asked = calls.iter_mut().filter(|tried| !tried.has(Place(1)));
        let asked = asked.map(|tried| scene.late(Place(0), tried, &mut false));
        let asked = asked.filter(|late| *late == Late::Ask(Place(1))).count();
        (0..asked).for_each(|_| scene.end(Place(1), QUICK));
        moved += asked;
        asked
    };
    let on_trial = usize::try_from(TRIAL_OUTSTANDING_MAX).unwrap();
    assert_eq!(late(&mut scene), on_trial, "no more at once than a trial has");
    while late(&mut scene) > 0 {}
    assert_eq!(moved, calls.len());
    assert_eq!(scene.standings(), [Standing::Ejected, Standing::InUse]);
}

#[test]
fn what_ejects() {
    #[track_caller]
    fn check(endings: &[Ending], expected: Standing) {
        let mut scene = Scene::of(2);
        for ending in endings {
            scene.balance.members[0].begin(scene.now);
            scene.end(Place(0), *ending);
        }
        assert_eq!(scene.standings(), [expected, Standing::InUse], "{endings:?}");
    }
    let times = |ending, count: u32| vec![ending; usize::try_from(count).unwrap()];
    check(&[Ending::Lost], Standing::Ejected);
    check(&times(Ending::Failed, FAILURES_MAX), Standing::Ejected);
    check(&times(Ending::Failed, FAILURES_MAX - 1), Standing::InUse);
    check(
        &[Ending::Failed, Ending::Failed, QUICK, Ending::Failed, Ending::Failed],
        Standing::InUse,
    );
    check(&times(Ending::Unanswered, UNANSWERED_MAX), Standing::Ejected);
    check(&times(Ending::Unanswered, UNANSWERED_MAX - 1), Standing::InUse);
    check(&times(Ending::TurnedAway, 100), Standing::InUse);
    check(&times(Ending::Dropped, 100), Standing::InUse);
    check(&times(QUICK, 100), Standing::InUse);
}

#[test]
fn silence_ejects_and_answers_do_not() {
    let mut scene = Scene::of(2);
    let [silent, talking] = [scene.first(), scene.first()];
    scene.now += SILENCE_LEAST / 2;
    scene.end(talking, QUICK);
    scene.balance.members[talking.0].begin(scene.now);
    scene.now += SILENCE_LEAST / 2 + ms(1);
    scene.first();
    assert_eq!(scene.standings(), [Standing::Ejected, Standing::InUse]);
    assert!(scene.balance.take_newly_ejected());
    assert!(!scene.balance.take_newly_ejected());
    assert_eq!(silent, Place(0));
    // idleness is no silence
    scene.now += SILENCE_LEAST * 100;
    let mut idle = Scene::of(2);
    idle.answer(4);
    idle.now += SILENCE_LEAST * 100;
    idle.answer(1);
    assert_eq!(idle.standings(), [Standing::InUse; 2]);
}

#[test]
fn the_last_one_is_never_ejected() {
    let mut scene = Scene::of(2);
    for place in [0, 1] {
        scene.balance.members[place].begin(scene.now);
        scene.end(Place(place), Ending::Lost);
    }
    assert_eq!(scene.standings(), [Standing::Ejected, Standing::InUse]);
    let mut alone = Scene::of(1);
    for _ in 0..20 {
        let place = alone.first();
        alone.end(place, Ending::Lost);
    }
    assert_eq!(alone.standings(), [Standing::InUse]);
}

#[test]
fn a_probe_that_holds_leads_back_by_a_trial() {
    let mut scene = Scene::of(2);
    scene.balance.members[0].begin(scene.now);
    scene.end(Place(0), Ending::Lost);
    assert_eq!(
        scene.balance.next_probe(scene.now),
        NextProbe::At(scene.now + PAUSE_FIRST)
    );
    scene.now += PAUSE_FIRST;
    assert_eq!(scene.balance.next_probe(scene.now), NextProbe::Now(Place(0)));
    assert_eq!(scene.balance.next_probe(scene.now), NextProbe::None);
    scene.balance.end_probe(Place(0), true, scene.now);
    assert_eq!(scene.standings(), [Standing::OnTrial, Standing::InUse]);
    let given: Vec<Place> = (0..10).map(|_| scene.first()).collect();
    let on_trial = given.iter().filter(|place| **place == Place(0)).count();
    assert_eq!(on_trial, usize::try_from(TRIAL_OUTSTANDING_MAX).unwrap());
    for place in given {
        scene.end(place, QUICK);
    }
    for _ in TRIAL_OUTSTANDING_MAX..TRIAL_ANSWERS {
        assert_eq!(scene.standings()[0], Standing::OnTrial);
        scene.balance.members[0].begin(scene.now);
        scene.end(Place(0), QUICK);
    }
    assert_eq!(scene.standings(), [Standing::InUse; 2]);
}

#[test]
fn pauses_double_up_to_their_bound_and_begin_anew_after_a_trial() {
    let mut scene = Scene::of(2);
    scene.balance.members[0].begin(scene.now);
    scene.end(Place(0), Ending::Lost);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let NextProbe::At(due) = scene.balance.next_probe(scene.now) else {
            panic!("a probe is due later");
        };
        pauses.push((due - scene.now).as_millis());
        scene.now = due;
        assert_eq!(scene.balance.next_probe(scene.now), NextProbe::Now(Place(0)));
        scene.balance.end_probe(Place(0), false, scene.now);
    }
    assert_eq!(
        pauses,
        [50, 100, 200, 400, 800, 1600, 3200, 5000, PAUSE_MOST.as_millis()]
    );
    scene.now += PAUSE_MOST;
    scene.balance.next_probe(scene.now);
    scene.balance.end_probe(Place(0), true, scene.now);
    for _ in 0..TRIAL_ANSWERS {
        scene.balance.members[0].begin(scene.now);
        scene.end(Place(0), QUICK);
    }
    scene.balance.members[0].begin(scene.now);
    scene.end(Place(0), Ending::Lost);
    assert_eq!(
        scene.balance.next_probe(scene.now),
        NextProbe::At(scene.now + PAUSE_FIRST)
    );
}

#[test]
fn a_failure_on_trial_ejects_at_once() {
    let check = |ending, expected| {
        let mut scene = Scene::of(2);
        scene.balance.members[0].begin(scene.now);
        scene.end(Place(0), Ending::Lost);
        scene.now += PAUSE_FIRST;
        scene.balance.next_probe(scene.now);
        scene.balance.end_probe(Place(0), true, scene.now);
        scene.balance.members[0].begin(scene.now);
        scene.end(Place(0), ending);
        assert_eq!(scene.standings()[0], expected, "{ending:?}");
    };
    check(Ending::Failed, Standing::Ejected);
    check(Ending::Unanswered, Standing::Ejected);
    check(Ending::Lost, Standing::Ejected);
    check(Ending::TurnedAway, Standing::OnTrial);
    check(QUICK, Standing::OnTrial);
}

#[test]
fn when_a_second_signer_is_asked() {
    let after = |latency_ms: u64| {
        let mut scene = Scene::of(2);
        for _ in 0..64 {
            let place = scene.first();
            scene.end(place, Ending::Answered { after: ms(latency_ms) });
        }
        scene.balance.hedge_after()
    };
    assert_eq!(Scene::of(2).balance.hedge_after(), HEDGE_AFTER_UNKNOWN);
    assert_eq!(after(0), HEDGE_AFTER_LEAST);
    assert_eq!(after(10), ms(20));
    assert_eq!(after(10_000), HEDGE_AFTER_MOST);
}

#[test]
fn a_slow_call_is_hedged_once_and_only_at_a_healthy_signer() {
    let mut scene = Scene::of(3);
    let (mut tried, mut may_be_hedged) = (Tried::default(), true);
    let first = scene.assign(&mut tried, Why::First).unwrap();
    assert!(matches!(scene.late(first, &mut tried, &mut may_be_hedged), Late::Ask(other) if other != first));
    assert_eq!(scene.late(first, &mut tried, &mut may_be_hedged), Late::Wait);

    let mut unconnected = Scene::of(2);
    unconnected.balance.note_connected(Place(1), false);
    let (mut tried, mut may_be_hedged) = (Tried::default(), true);
    let first = unconnected.assign(&mut tried, Why::First).unwrap();
    assert_eq!(unconnected.late(first, &mut tried, &mut may_be_hedged), Late::Wait);
    assert!(may_be_hedged, "it may be hedged when the other is there again");
}

#[test]
fn a_call_at_an_ejected_signer_is_moved_even_if_it_may_not_be_hedged() {
    let mut scene = Scene::of(2);
    let mut tried = Tried::default();
    let first = scene.assign(&mut tried, Why::First).unwrap();
    assert_eq!(scene.late(first, &mut tried, &mut false), Late::Wait);
    scene.now += SILENCE_LEAST + ms(1);
    let other = Place(1 - first.0);
    assert_eq!(scene.late(first, &mut tried, &mut false), Late::Ask(other));
    assert_eq!(scene.balance.members()[other.0].counts.retries, 1);
    assert_eq!(scene.late(first, &mut tried, &mut false), Late::Wait);
}

#[test]
fn an_overloaded_pool_is_not_doubled() {
    let mut scene = Scene::of(2);
    let calls = 10_000;
    let mut hedged = 0;
    for _ in 0..calls {
        let (mut tried, mut may_be_hedged) = (Tried::default(), true);
        let first = scene.assign(&mut tried, Why::First).unwrap();
        if let Late::Ask(second) = scene.late(first, &mut tried, &mut may_be_hedged) {
            hedged += 1;
            scene.end(second, QUICK);
        }
        scene.end(first, QUICK);
    }
    assert!((900..=1_000 + HEDGE_RESERVE).contains(&hedged), "{hedged} of {calls}");
}

/// Something that happens to a pool of three.
#[derive(Debug, Clone)]
enum Event {
    Begin,
    /// The call of that number, counted from the oldest, ends.
    End(usize, Ending),
    Retry(usize),
    Late(usize),
    Pass(u64),
    Connected(usize, bool),
    Probe(bool),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let ending = prop_oneof![
        4 => (0..400u64).prop_map(|after| Ending::Answered { after: ms(after) }),
        1 => Just(Ending::TurnedAway),
        2 => Just(Ending::Failed),
        1 => Just(Ending::Lost),
        2 => Just(Ending::Unanswered),
        1 => Just(Ending::Dropped),
    ];
    let event = prop_oneof![
        6 => Just(Event::Begin),
        4 => (0..9usize, ending).prop_map(|(call, ending)| Event::End(call, ending)),
        1 => (0..9usize).prop_map(Event::Retry),
        2 => (0..9usize).prop_map(Event::Late),
        2 => (0..400u64).prop_map(Event::Pass),
        1 => (0..3usize, any::<bool>()).prop_map(|(place, is)| Event::Connected(place, is)),
        2 => any::<bool>().prop_map(Event::Probe),
    ];
    prop::collection::vec(event, 0..400)
}

/// A call of the property: where it was, and where it is outstanding.
#[derive(Default)]
struct Under {
    tried: Tried,
    waiting: Vec<Place>,
    may_be_hedged: bool,
}

proptest! {
    #[test]
    fn whatever_happens(events in events()) {
        let mut scene = Scene::of(3);
        let mut calls: Vec<Under> = Vec::new();
        let (mut begun, mut hedges) = (0u32, 0u32);
        for event in events {
            match event {
                Event::Begin => {
                    let mut call = Under { may_be_hedged: true, ..Under::default() };
                    let place = scene.assign(&mut call.tried, Why::First);
                    prop_assert!(place.is_some(), "a new call always finds a signer");
                    call.waiting.extend(place);
                    calls.push(call);
                    begun += 1;
                }
                Event::End(number, ending) => if let Some(call) = calls.get_mut(number)
                    && let Some(place) = call.waiting.pop() {
                    scene.end(place, ending);
                },
                Event::Retry(number) => if let Some(call) = calls.get_mut(number) {
                    let before = call.tried;
                    let place = scene.assign(&mut call.tried, Why::Retry);
                    prop_assert!(place.is_none_or(|place| !before.has(place)), "no signer has it twice");
                    call.waiting.extend(place);
                },
                Event::Late(number) => if let Some(call) = calls.get_mut(number)
                    && let Some(waits_at) = call.waiting.last().copied() {
                    let (before, could) = (call.tried, call.may_be_hedged);
                    let late = scene.late(waits_at, &mut call.tried, &mut call.may_be_hedged);
                    hedges += u32::from(could && !call.may_be_hedged);
                    if let Late::Ask(place) = late {
                        prop_assert!(!before.has(place));
                        call.waiting.push(place);
                    }
                },
                Event::Pass(time) => scene.now += ms(time),
                Event::Connected(place, is) => scene.balance.note_connected(Place(place), is),
                Event::Probe(held) => if let NextProbe::Now(place) = scene.balance.next_probe(scene.now) {
                    scene.balance.end_probe(place, held, scene.now);
                },
            }
            let ejected = scene.standings().iter().filter(|standing| **standing == Standing::Ejected).count();
            prop_assert!(ejected < 3, "one is always there");
            prop_assert!(hedges <= begun / HEDGE_PRICE + HEDGE_RESERVE);
            let outstanding: u32 = scene.balance.members().iter().map(|member| member.outstanding).sum();
            let waiting: usize = calls.iter().map(|call| call.waiting.len()).sum();
            prop_assert_eq!(usize::try_from(outstanding).unwrap(), waiting);
        }
        // nobody stays away for ever
        scene.now += PAUSE_MOST;
        while let NextProbe::Now(place) = scene.balance.next_probe(scene.now) {
            scene.balance.end_probe(place, true, scene.now);
        }
        prop_assert!(!scene.standings().contains(&Standing::Ejected));
    }
}
