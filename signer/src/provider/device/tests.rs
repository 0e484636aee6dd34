//! The pool against a device of this process that does what each test says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::*;

/// What the device of a test does with the messages it is to sign.
#[derive(Debug, Default)]
struct Script {
    /// `block` waits while this is set.
    blocked: AtomicBool,
    /// How often sessions say that they are lost before they work.
    losses: AtomicUsize,
    /// That opening is refused for good.
    refuses: AtomicBool,
    opened: AtomicUsize,
    performed: Mutex<Vec<Vec<u8>>>,
}

#[derive(Debug)]
struct Scripted(Arc<Script>);

impl Device for Scripted {
    type Key = ();
    type Session = Scripted;

    fn open(&self) -> Result<Scripted, DeviceFault> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        if self.0.refuses.load(Ordering::SeqCst) {
            return Err(DeviceFault::Unusable("a secret is refused".to_owned()));
        }
        Ok(Scripted(Arc::clone(&self.0)))
    }
}

impl Session for Scripted {
    type Key = ();

    fn perform(&mut self, (): &(), operation: &Operation) -> Result<Output, DeviceFault> {
        let Operation::Sign(signed) = operation else {
            return Err(DeviceFault::InputRefused);
        };
        self.0.performed.lock().unwrap().push(signed.clone());
        while signed == b"block" && self.0.blocked.load(Ordering::SeqCst) {
            thread::sleep(Duration::from_millis(1));
        }
        assert_ne!(signed, b"panic");
        let lost = |losses: usize| losses.checked_sub(1);
        if self
            .0
            .losses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, lost)
            .is_ok()
        {
            return Err(DeviceFault::Away("lost".to_owned()));
        }
        Ok(Output::Signature(signed.clone()))
    }

    fn probe(&mut self) -> Result<(), DeviceFault> {
        Ok(())
    }
}

struct Bench {
    script: Arc<Script>,
    pool: Pool<Scripted>,
}

impl Bench {
    fn new(sessions: usize, script: Script) -> Self {
        let script = Arc::new(script);
        let limits = SessionLimits { sessions, call_ms: 50 };
        let mut options = PoolOptions::new("scripted", "scripted", limits);
        options.back_off = BackOff {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(20),
        };
        Self {
            pool: Pool::start(Scripted(Arc::clone(&script)), options).unwrap(),
            script,
        }
    }

    fn sign_all(&self, messages: &[&[u8]], silence: Duration) -> Vec<Result<Output, DeviceFault>> {
        let operations = messages.iter().map(|message| Operation::Sign(message.to_vec()));
        let patience = Patience {
            deadline: Instant::now() + Duration::from_mins(1),
            silence,
        };
        self.pool.perform(&Arc::new(()), operations.collect(), patience)
    }

    /// With all patience.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, DeviceFault> {
        match self.sign_all(&[message], Duration::from_mins(1)).remove(0)? {
            Output::Signature(signature) => Ok(signature),
            other => panic!("{other:?}"),
        }
    }

    /// With that of a worker; an answer may well be missing.
    fn sign_briefly(&self, message: &[u8]) -> Result<Output, DeviceFault> {
        self.sign_all(&[message], self.pool.options().call()).remove(0)
    }

    fn performed(&self) -> Vec<Vec<u8>> {
        self.script.performed.lock().unwrap().clone()
    }
}

#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < until, "in vain: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_stalled_call_holds_its_session_and_replacements_are_bounded() {
    let bench = Bench::new(2, Script::default());
    wait_for("the sessions are open", || bench.pool.state().sessions_open == 2);
    bench.script.blocked.store(true, Ordering::SeqCst);
    assert!(matches!(bench.sign_briefly(b"block"), Err(DeviceFault::NoAnswer)));
    wait_for("the session is replaced", || {
        let state = bench.pool.state();
        (state.sessions_stuck, state.sessions_open) == (1, 2)
    });
    wait_for("others are served", || bench.sign(b"another").is_ok());
    wait_for("every thread there may be is stuck", || {
        let _outcome = bench.sign_briefly(b"block");
        bench.pool.state().sessions_stuck == 4
    });
    assert!(matches!(bench.sign(b"another"), Err(DeviceFault::LeftAlone(_))));
    assert_eq!(bench.pool.0.lock().census().all, 4);
    bench.script.blocked.store(false, Ordering::SeqCst);
    wait_for("it is served again", || bench.sign(b"another").is_ok());
    wait_for("as many sessions as configured are left", || {
        let census = bench.pool.0.lock().census();
        (census.all, census.stuck, census.open) == (2, 0, 2)
    });
}

#[test]
fn what_nobody_waits_for_is_dropped_unworked() {
    let bench = Bench::new(1, Script::default());
    wait_for("it works", || bench.sign(b"first").is_ok());
    bench.script.blocked.store(true, Ordering::SeqCst);
    let mut messages = vec![b"block".as_slice()];
    messages.resize(20, b"dropped");
    let outcomes = bench.sign_all(&messages, Duration::from_millis(10));
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(DeviceFault::NoAnswer)))
    );
    bench.script.blocked.store(false, Ordering::SeqCst);
    wait_for("it is served again", || bench.sign(b"another").is_ok());
    assert!(!bench.performed().contains(&b"dropped".to_vec()));
    assert!(bench.pool.state().counters.dropped >= 19);
}

#[test]
fn more_than_the_queue_holds_is_busy_at_once() {
    let bench = Bench::new(1, Script::default());
    bench.script.blocked.store(true, Ordering::SeqCst);
    let mut messages = vec![b"block".as_slice()];
    messages.resize(QUEUE_MAX + 5, b"queued");
    let outcomes = bench.sign_all(&messages, Duration::from_millis(10));
    let busy = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Err(DeviceFault::Busy)));
    assert_eq!(busy.count(), 5);
    bench.script.blocked.store(false, Ordering::SeqCst);
    wait_for("abandoned work makes room", || bench.sign(b"another").is_ok());
}

/// Once more, on a fresh session; a second loss is the caller's to know.
#[test]
fn what_a_lost_session_was_doing_is_done_once_more() {
    #[track_caller]
    fn check(losses: usize, expected: &Result<Vec<u8>, DeviceFault>, performed: usize) {
        let bench = Bench::new(1, Script::default());
        bench.script.losses.store(losses, Ordering::SeqCst);
        assert_eq!(
            (&bench.sign(b"message"), bench.performed().len()),
            (expected, performed)
        );
        wait_for("it is served again", || bench.sign(b"another").is_ok());
    }
    check(0, &Ok(b"message".to_vec()), 1);
    check(1, &Ok(b"message".to_vec()), 2);
    check(2, &Err(DeviceFault::Away("lost".to_owned())), 2);
}

#[test]
fn a_refused_secret_ends_it_for_good() {
    let refusing = Script {
        refuses: AtomicBool::new(true),
        ..Script::default()
    };
    let bench = Bench::new(1, refusing);
    let expected = Err(DeviceFault::Unusable("a secret is refused".to_owned()));
    for _ in 0..20 {
        assert_eq!(bench.sign(b"message"), expected);
    }
    assert!(bench.pool.is_refused());
    assert_eq!(bench.script.opened.load(Ordering::SeqCst), 1);
}

#[test]
fn a_session_thread_that_panics_is_replaced() {
    let bench = Bench::new(1, Script::default());
    let expected = DeviceFault::Failed("a session ended by a defect".to_owned());
    assert_eq!(bench.sign(b"panic"), Err(expected));
    wait_for("it is served again", || bench.sign(b"another").is_ok());
}

#[test]
fn the_threads_end_with_the_pool() {
    let Bench { script, pool } = Bench::new(3, Script::default());
    wait_for("the sessions are open", || pool.state().sessions_open == 3);
    drop(pool);
    wait_for("nothing holds the device", || Arc::strong_count(&script) == 1);
}

/// More work than sessions is no reason to leave the device alone; silence towards everybody is.
#[test]
fn only_a_device_that_answers_nobody_is_left_alone() {
    let limits = SessionLimits {
        sessions: 1,
        call_ms: 50,
    };
    let options = PoolOptions::new("p", "scripted", limits);
    let mut state: State<()> = State::new(Breaker::new(options.failures_max, options.back_off));
    state.note(&Ok(Output::Checked));
    for _ in 0..10 {
        state.fell_silent(Duration::from_hours(1));
    }
    assert_eq!(state.refusal(), None);
    for _ in 0..options.failures_max {
        state.fell_silent(Duration::ZERO);
    }
    assert!(matches!(state.refusal(), Some(DeviceFault::LeftAlone(_))));
}
