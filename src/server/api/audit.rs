//! Serves what people did: pages of records, as JSON or as a table.
//! Owns: parameters and their limits, the table's columns. Uses: store. Never: changes or removes a record.

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION};
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};

use super::people_shapes::{AuditParameters, AuditRecordShape, AuditShape};
use super::shapes::ProblemShape;
use crate::model::audit::{AuditReader, AuditRecord};
use crate::model::{AuditPage, AuditQuery, Time};
use crate::rules::export::guarded;
use crate::server::Site;
use crate::server::access::{Caller, Lead};
use crate::server::error::{Code, Problem};

/// How many records a page has unless the caller says.
const PAGE: usize = 50;
/// The most a page has; more is clamped.
const LARGEST_PAGE: usize = 200;
/// The most rows of a table.
const LARGEST_TABLE: usize = 10_000;
/// How many pages of the store one answer is gathered from.
const PAGES: usize = 50;

const COLUMNS: [&str; 9] = [
    "编号 seq",
    "时间 at",
    "谁 by",
    "做了什么 what",
    "对象 target",
    "之前 before",
    "之后 after",
    "地址 address",
    "公众号 account",
];

/// Shows what people did, newest first, for admins and leads. Those who reach some accounts only see what concerns these, and
/// what they did themselves. With `Accept: text/csv` as a table; the header `x-next-cursor` leads on.
#[utoipa::path(
    get, path = "/audit", operation_id = "listAudit",
    params(AuditParameters),
    responses(
        (status = 200, content((AuditShape = "application/json"), (String = "text/csv"))),
        (status = 400, body = ProblemShape),
        (status = 401, body = ProblemShape),
        (status = 403, body = ProblemShape),
        (status = 503, body = ProblemShape),
    )
)]
pub(super) async fn list(
    Lead(caller): Lead,
    site: Data<Site>,
    request: HttpRequest,
    parameters: Query<AuditParameters>,
) -> Result<HttpResponse, Problem> {
    let is_table = wants_table(&request);
    let query = asked(parameters.into_inner(), &caller, is_table)?;
    let page = gathered(&site, query).await?;
    let next = page.next.map(|next| next.to_string());
    if !is_table {
        let records = page.records.into_iter().map(AuditRecordShape::from);
        let records = records.collect();
        return Ok(HttpResponse::Ok().json(AuditShape { records, next }));
    }
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/csv; charset=utf-8")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""));
    if let Some(next) = next {
        response.insert_header(("x-next-cursor", next));
    }
    Ok(response.body(table(&page.records)))
}

fn wants_table(request: &HttpRequest) -> bool {
    let accepts = request.headers().get_all(ACCEPT);
    let mut accepts = accepts.filter_map(|value| value.to_str().ok());
    accepts.any(|value| {
        let kinds = value.split(',').map(|kind| kind.split(';').next());
        kinds
            .flatten()
            .any(|kind| kind.trim().eq_ignore_ascii_case("text/csv"))
    })
}

/// A full page, if there is one without looking at too much.
async fn gathered(site: &Site, mut query: AuditQuery) -> Result<AuditPage, Problem> {
    let mut whole = AuditPage::default();
    let wanted = query.limit;
    for _ in 0..PAGES {
        query.limit = wanted - whole.records.len();
        let page = site.store.audit_page(&query).await?;
        whole.records.extend(page.records);
        whole.next = page.next;
        if whole.next.is_none() || whole.records.len() == wanted {
            break;
        }
        query.after = whole.next;
    }
    Ok(whole)
}

fn asked(
    parameters: AuditParameters,
    caller: &Caller,
    is_table: bool,
) -> Result<AuditQuery, Problem> {
    let text = |text: Option<String>| text.filter(|text| !text.is_empty());
    let time = |name: &str, given: Option<String>| -> Result<Option<Time>, Problem> {
        let read = |given: String| given.parse::<jiff::Timestamp>().map(Time::from);
        let bad = |_error| {
            let detail = format!("`{name}` is a time as RFC 3339 writes it, 2026-06-03T12:00:00Z");
            Problem::new(Code::BadRequest, detail)
        };
        text(given).map(read).transpose().map_err(bad)
    };
    let after = text(parameters.cursor).map(|cursor| cursor.parse().ok());
    let after = after.map(|cursor: Option<u64>| {
        cursor.ok_or_else(|| Problem::new(Code::BadRequest, "`cursor` is not one of ours"))
    });
    let (usual, largest) = if is_table {
        (LARGEST_TABLE, LARGEST_TABLE)
    } else {
        (PAGE, LARGEST_PAGE)
    };
    let reader = (!caller.accounts.is_empty()).then(|| AuditReader {
        name: caller.name.clone(),
        accounts: caller.accounts.clone(),
    });
    Ok(AuditQuery {
        since: time("since", parameters.since)?,
        until: time("until", parameters.until)?,
        by: text(parameters.by).map(Into::into),
        what: text(parameters.what).map(Into::into),
        target: text(parameters.target).map(Into::into),
        reader,
        after: after.transpose()?,
        limit: parameters.limit.unwrap_or(usual).clamp(1, largest),
    })
}

/// The records as CSV that spreadsheets read as UTF-8 and in which they find no formula.
fn table(records: &[AuditRecord]) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(b"\xef\xbb\xbf".to_vec());
    let rows = records
        .iter()
        .map(|record| row(record).map(|cell| guarded(&cell)));
    for row in std::iter::once(COLUMNS.map(str::to_owned)).chain(rows) {
        writer
            .write_record(row)
            .expect("writing to memory cannot fail");
    }
    writer.into_inner().expect("writing to memory cannot fail")
}

fn row(record: &AuditRecord) -> [String; COLUMNS.len()] {
    fn of<T: ToString>(value: Option<&T>) -> String {
        value.map(T::to_string).unwrap_or_default()
    }
    [
        record.seq.to_string(),
        record.at.to_string(),
        of(record.by.as_ref()),
        record.what.to_string(),
        record.target.to_string(),
        of(record.before.as_ref()),
        of(record.after.as_ref()),
        of(record.address.as_ref()),
        of(record.account.as_ref()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AgentName;

    #[test]
    fn no_cell_is_a_formula() {
        let record = AuditRecord {
            seq: 1,
            at: Time::from_seconds(0),
            by: AgentName::parse("@SUM(1)").ok(),
            what: "-1".into(),
            target: "=HYPERLINK(\"http://x\",\"y\")\r\n+1".into(),
            before: Some("\t=1".into()),
            after: Some("＝1".into()),
            address: None,
            account: None,
        };
        let bytes = table(&[record]);
        assert!(bytes.starts_with(b"\xef\xbb\xbf"));
        let mut reader = csv::Reader::from_reader(&bytes[3..]);
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), 1);
        let cells: Vec<&str> = rows[0].iter().collect();
        assert_eq!(
            cells,
            [
                "1",
                "1970-01-01T00:00:00Z",
                "'@SUM(1)",
                "'-1",
                "'=HYPERLINK(\"http://x\",\"y\")\r\n+1",
                "'\t=1",
                "'＝1",
                "",
                ""
            ]
        );
    }
}
