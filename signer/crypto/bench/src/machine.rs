//! The machine that the figures are of.

use std::fs;

/// Pins this thread to a core, the last one unless told otherwise; which it was.
pub(crate) fn pin(wanted: Option<usize>) -> Option<usize> {
    let cores = core_affinity::get_core_ids()?;
    let core = match wanted {
        Some(wanted) => cores.into_iter().find(|core| core.id == wanted)?,
        None => cores.into_iter().next_back()?,
    };
    core_affinity::set_for_current(core).then_some(core.id)
}

pub(crate) fn model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    model.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |model| model.trim_start_matches(['\t', ' ', ':']).to_owned(),
    )
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_ifma() -> bool {
    is_x86_feature_detected!("avx512ifma")
}

#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn has_ifma() -> bool {
    false
}
