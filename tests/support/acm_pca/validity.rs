//! When a certificate starts and ends: `Validity` and `ValidityNotBefore` of IssueCertificate.

use serde::Deserialize;
use time::{Date, Duration, Month, OffsetDateTime, Time};

use super::refusal::Refusal;

/// The API's `Validity`.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
pub struct Validity {
    #[serde(rename = "Type")]
    pub kind: String,
    pub value: i64,
}

impl Validity {
    /// The moment it names, for a certificate issued now.
    pub fn end(&self, now: OffsetDateTime) -> Result<OffsetDateTime, Refusal> {
        self.positive()?;
        let end = match self.kind.as_str() {
            "ABSOLUTE" => OffsetDateTime::from_unix_timestamp(self.value).ok(),
            "END_DATE" => end_date(self.value),
            "DAYS" => now.checked_add(Duration::days(self.value.min(4_000_000))),
            "MONTHS" => months_later(now, self.value),
            "YEARS" => self.value.checked_mul(12).and_then(|months| months_later(now, months)),
            _ => return Err(self.unknown()),
        };
        let end = end.ok_or_else(|| Refusal::validation("The validity is not a date."))?;
        if end <= now {
            return Err(Refusal::validation("The certificate would end before it is issued."));
        }
        Ok(end)
    }

    /// The moment it names, as `ValidityNotBefore`.
    pub fn start(&self) -> Result<OffsetDateTime, Refusal> {
        self.positive()?;
        if self.kind != "ABSOLUTE" {
            return Err(Refusal::invalid_args("ValidityNotBefore must be of type ABSOLUTE."));
        }
        OffsetDateTime::from_unix_timestamp(self.value)
            .map_err(|_| Refusal::validation("ValidityNotBefore is not a date."))
    }

    fn positive(&self) -> Result<(), Refusal> {
        if self.value >= 1 {
            return Ok(());
        }
        Err(Refusal::validation(format!(
            "1 validation error detected: Value '{}' at 'validity.value' failed to satisfy \
             constraint: Member must have value greater than or equal to 1",
            self.value
        )))
    }

    fn unknown(&self) -> Refusal {
        Refusal::validation(format!(
            "1 validation error detected: Value '{}' at 'validity.type' failed to satisfy \
             constraint: Member must satisfy enum value set: [ABSOLUTE, DAYS, END_DATE, MONTHS, \
             YEARS]",
            self.kind
        ))
    }
}

/// YYYYMMDDHHMMSS, or YYMMDDHHMMSS with the century of RFC 5280, section 4.1.2.5.1.
fn end_date(digits: i64) -> Option<OffsetDateTime> {
    let (year, rest) = (digits / 10_000_000_000, digits % 10_000_000_000);
    let year = match year {
        0..50 => 2000 + year,
        50..100 => 1900 + year,
        _ => year,
    };
    let part = |place: u32| (rest / 100_i64.pow(place) % 100) as u8;
    let month = Month::try_from(part(4)).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, part(3)).ok()?;
    let time = Time::from_hms(part(2), part(1), part(0)).ok()?;
    Some(date.with_time(time).assume_utc())
}

fn months_later(now: OffsetDateTime, months: i64) -> Option<OffsetDateTime> {
    let month = i64::from(u8::from(now.month())) - 1 + months.min(120_000);
    let year = i64::from(now.year()) + month / 12;
    let (year, month) = (i32::try_from(year).ok()?, Month::try_from((month % 12) as u8 + 1).ok()?);
    let day = now.day().min(month.length(year));
    Some(Date::from_calendar_date(year, month, day).ok()?.with_time(now.time()).assume_utc())
}
