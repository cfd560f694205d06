//! Asking for records.
//!
//! What an answer may bring is set aside before it is asked for; a reader that gets no share does not ask, and its iterator may expire
//! meanwhile, which costs another one and no record.

use super::super::{Answer, StreamError};
use super::place::Said;
use super::reader::{End, Reader, counted};
use super::service::Counts;

impl Reader {
    pub(super) async fn poll(&mut self) -> End {
        let mut iterator = None;
        loop {
            if let Err(end) = self.ask(&mut iterator).await {
                return end;
            }
        }
    }

    /// One call, whether it works or not.
    async fn ask(&mut self, iterator: &mut Option<String>) -> Result<(), End> {
        self.wanted().await?;
        self.rest().await;
        let Some(here) = iterator else {
            let asked = self.service.stream.iterator(&self.shard, self.place.from());
            match asked.await {
                Ok(new) => {
                    *iterator = Some(new);
                    self.place.begun();
                }
                Err(error) => self.failed("GetShardIterator", error).await?,
            }
            return Ok(());
        };
        let (service, settings) = (self.service.clone(), &self.service.settings);
        let mut held = self.allowance.reserve(settings.answer_bytes).await;
        if *self.paused.borrow() {
            return Ok(());
        }
        self.pace().asks(service.now());
        let answer = service.stream.records(here, settings.limit).await;
        let Answer {
            records,
            next,
            behind_ms,
            children,
        } = match answer {
            Ok(answer) => answer,
            Err(error) => {
                drop(held);
                if error == StreamError::Expired {
                    *iterator = None;
                }
                return self.failed("GetRecords", error).await;
            }
        };
        Counts::count(&service.counts().answers);
        let ended = next.is_none();
        let full = records.len() >= settings.limit as usize;
        let bytes = counted(&records);
        self.pace().answered(service.now(), bytes, full, behind_ms);
        *iterator = next;
        if records.is_empty() {
            held.settle(0);
        }
        let said = Said { behind_ms, ended };
        self.hand_over(records, said, held).await?;
        match ended {
            true => self.ended(children).await,
            false => Ok(()),
        }
    }
}
