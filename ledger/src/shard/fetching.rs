//! What a group of jobs may touch, brought in before anything of it is decided: rows that are named, then rows that those
//! name.

use super::group::{
    Working, wanted_by_agreement, wanted_by_closing, wanted_by_hop, wanted_by_loading, wanted_by_new,
    wanted_by_settlement_first, wanted_by_settlement_second, wanted_first, wanted_second,
};
use super::repeats::Keys;
use super::worker::Worker;
use super::{Errand, Job, Task};
use crate::store::StoreFault;
use crate::view::Wanted;

impl Worker {
    /// Every row the group may touch.
    pub(super) fn fetch_all(&self, jobs: &[Job], keys: Keys, working: &mut Working) -> Result<(), StoreFault> {
        let mut first = Wanted::default();
        for job in jobs {
            match job {
                Job::Post(post) => match post.task {
                    Task::Decide if keys == Keys::TakenAsNew => wanted_by_new(&post.instruction, &mut first),
                    Task::Decide | Task::Recall => wanted_first(&post.instruction, &mut first),
                    Task::TakeIn { .. } => wanted_by_hop(&post.instruction, &mut first),
                },
                Job::Load(load) => {
                    for (_, new) in &load.accounts {
                        wanted_by_loading(new, &mut first);
                    }
                    for (_, agreement) in &load.agreements {
                        wanted_by_agreement(agreement, &mut first);
                    }
                }
                Job::Errand(Errand::Settle { row, .. }) => wanted_by_settlement_first(row, &mut first),
                Job::Errand(Errand::Close { row, .. }) => wanted_by_closing(row, &mut first),
                Job::Administer(administer) => administer.wanted(&mut first),
                Job::Ask(ask) => ask.wanted_first(working.now().date(), &mut first),
                Job::Errand(_) | Job::Stop => {}
            }
        }
        self.fetch(first, working)?;
        let mut second = Wanted::default();
        for job in jobs {
            match job {
                Job::Post(post) if !matches!(post.task, Task::TakeIn { .. }) => {
                    wanted_second(&post.instruction, working.view(), &mut second);
                }
                Job::Errand(Errand::Settle { row, .. }) => {
                    wanted_by_settlement_second(row, working.view(), &mut second);
                }
                Job::Ask(ask) => ask.wanted_second(working.view(), &mut second),
                Job::Post(_) | Job::Load(_) | Job::Administer(_) | Job::Errand(_) | Job::Stop => {}
            }
        }
        self.fetch(second, working)
    }

    fn fetch(&self, wanted: Wanted, working: &mut Working) -> Result<(), StoreFault> {
        let missing = working.view().missing(wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let rows = self.parts.store.fetch(&missing)?;
        working.view_mut().admit(missing, rows);
        Ok(())
    }
}
