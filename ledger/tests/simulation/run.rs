//! One run from its seed, and what is told of it when it fails.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

use crate::acts::Simulation;
use crate::oracle::{Check, Rule, Violation};
use crate::reached::Reached;
use crate::trouble::set_others;
use crate::world::World;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) result: Check,
    /// Two runs of one seed agree on it.
    pub(crate) fingerprint: u64,
    pub(crate) reached: Reached,
    /// Steps, where they were asked for.
    pub(crate) lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Telling {
    Steps,
    Nothing,
}

pub(crate) fn run(seed: u64, telling: Telling) -> Ran {
    let world = match World::new(seed, telling == Telling::Steps) {
        Ok(world) => world,
        Err(violation) => {
            return Ran {
                result: Err(violation),
                fingerprint: 0,
                reached: Reached::default(),
                lines: Vec::new(),
            };
        }
    };
    let simulation = Rc::new(Simulation(RefCell::new(world)));
    let weak = Rc::downgrade(&simulation);
    set_others(Some(Rc::new(move || {
        if let Some(simulation) = weak.upgrade() {
            simulation.others();
        }
    })));
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| drive(&simulation)));
    set_others(None);
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Violation {
            rule: Rule::Halt,
            what: format!("panicked: {}", text.unwrap_or_default()),
        })
    });
    let Ok(mut world) = simulation.0.try_borrow_mut() else {
        return Ran {
            result,
            fingerprint: 0,
            reached: Reached::default(),
            lines: Vec::new(),
        };
    };
    let met = world.shipment.as_ref().map(|shipment| shipment.topic.met());
    let met = met.unwrap_or_default();
    Ran {
        result,
        fingerprint: world.oracle.fingerprint(),
        reached: Reached {
            keys_taken: world.trouble.keys_taken(),
            broker_away: met.calls_while_away,
            pieces_lost: met.pieces_lost,
            pieces_in_doubt: met.pieces_in_doubt,
            fenced: met.fenced,
            topics_cut: met.cuts,
            ..world.oracle.reached
        },
        lines: world.lines.take().unwrap_or_default(),
    }
}

fn drive(simulation: &Rc<Simulation>) -> Check {
    let steps = {
        let mut world = simulation.0.borrow_mut();
        let plan = world.plan;
        world.tell(|_| format!("{plan:?}"));
        let bank = world.bank.clone();
        world.tell(|_| format!("{bank:?}"));
        assert!(world.load_again(), "nothing is queued yet");
        plan.steps
    };
    for _ in 0..steps {
        simulation.act()?;
    }
    simulation.come_to_rest()
}
