//! Checks that every target must pass, whatever it writes to.
//!
//! A target's own test implements [`Harness`] and [`Place`] and calls [`run`] inside a tokio runtime with
//! its clock enabled, best one of several threads:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use alluvium_target::{Target, conformance::{self, Harness, Place, Output}, memory::MemoryTarget};
//! # struct Fresh;
//! # #[async_trait::async_trait]
//! # impl Harness for Fresh { async fn fresh(&self) -> Box<dyn Place> { Box::new(MemoryTarget::new()) } }
//! # async fn test() {
//! conformance::run(&Fresh).await;
//! # }
//! ```
//!
//! The suite owns what is asked of a target. It refuses to know how a target stores its rows: reading
//! them back is the harness's part.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use crate::{Table, Target};

mod checks;
mod repeats;
mod rows;

/// Makes an empty place for each check.
#[async_trait]
pub trait Harness: Sync {
    /// A place nothing has been written to, shared with no other check.
    async fn fresh(&self) -> Box<dyn Place>;
}

/// Somewhere a target delivers to, with the eyes of a reader.
#[async_trait]
pub trait Place: Send + Sync {
    /// A target that delivers to this place. Called more than once: each stands for one process.
    fn target(&self) -> Arc<dyn Target>;

    /// Everything a reader finds in the place now, dead letters included.
    ///
    /// Called also while commits are under way: whatever a reader knows to leave alone, such as files
    /// under a temporary name, is left out.
    async fn visible(&self) -> Vec<Output>;
}

/// A row as a reader finds it: column name to value, null columns left out.
///
/// Values are text: strings as they are, numbers in decimal and without a fraction if whole (`1`, `2.5`).
pub type Row = BTreeMap<String, String>;

/// Rows of one table, as a reader finds them. A table may come in several outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The table the rows belong to.
    pub table: Table,
    /// The rows, in the order they are stored in.
    pub rows: Vec<Row>,
}

/// Runs every check, each in a fresh place.
///
/// # Panics
/// If a check fails: the message names the check and what was found.
pub async fn run(harness: &dyn Harness) {
    checks::passes_its_own_check(&*harness.fresh().await).await;
    checks::nothing_is_visible_before_commit(&*harness.fresh().await).await;
    checks::a_dropped_inserter_leaves_nothing(&*harness.fresh().await).await;
    checks::commit_shows_every_row_of_every_table(&*harness.fresh().await).await;
    checks::a_second_commit_leaves_one_copy(&*harness.fresh().await).await;
    checks::a_second_process_leaves_one_copy(&*harness.fresh().await).await;
    checks::spans_and_partitions_stay_apart(&*harness.fresh().await).await;
    repeats::many_processes_leave_one_copy(&*harness.fresh().await).await;
    repeats::writers_at_once_leave_one_copy(&*harness.fresh().await).await;
    repeats::a_commit_cut_off_is_completed_by_another(&*harness.fresh().await).await;
    repeats::a_reader_sees_whole_outputs_only(&*harness.fresh().await).await;
    repeats::other_content_is_never_mixed_in(&*harness.fresh().await).await;
    repeats::writers_of_other_content_at_once_never_mix(&*harness.fresh().await).await;
    checks::a_later_batch_may_have_more_columns(&*harness.fresh().await).await;
    checks::an_integer_column_may_become_double(&*harness.fresh().await).await;
    checks::hostile_names_stay_apart_and_inside(&*harness.fresh().await).await;
    checks::dead_letters_come_with_the_span(&*harness.fresh().await).await;
    checks::a_span_without_rows_commits_nothing(&*harness.fresh().await).await;
    checks::many_tables_fit_in_one_span(&*harness.fresh().await).await;
    checks::shrinking_keeps_every_row(&*harness.fresh().await).await;
}
