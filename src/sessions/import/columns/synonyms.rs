//! Names that other programs give to the fields of a session. The mapping page suggests fields by them; a user confirms.

use super::{find_column_loosely, normalize_name};

/// The beginning, which may be that of the wait or of the talk.
const START: &str = "start starttime startdate started begin beginat from";

/// Fields with their other names, the likeliest first, in lower case and without spaces and punctuation, separated by
/// spaces.
///
/// Earlier fields choose first. A name may belong to several fields: `Start` is `startedAt` in a file that also has
/// `Created`, and `createdAt` otherwise. Names that may hold another unit or form, such as `Amount`, are left out.
const SYNONYMS: [(&str, &[&str]); 28] = [
    ("status", &["state outcome result disposition callstatus callstate calloutcome callresult"]),
    ("channel", &["kind type medium media mediatype channeltype calltype sessiontype contacttype mode"]),
    (
        "createdAt",
        &[
            "created createdon creationtime creationdate createdtime datecreated queuedat queued \
             requestedat requested receivedat received calltime calldate timestamp datetime",
            START,
            "date time",
        ],
    ),
    (
        "endedAt",
        &["end ended endtime enddate endat finish finished finishedat closed closedat completedat \
           hangup hungupat stop stopped until to"],
    ),
    (
        "startedAt",
        &["answeredat answered answertime connectedat connected acceptedat accepted pickedup", START],
    ),
    ("externalId", &["id callid calluuid uuid uniqueid reference ref conversationid interactionid ticketid"]),
    (
        "agentName",
        &["agent operator operatorname adviser advisor advisorname consultant representative rep \
           repname employee employeename staff answeredby handledby assignee host"],
    ),
    ("agentEmail", &["operatoremail advisoremail repemail employeeemail hostemail agentmail"]),
    (
        "shopperName",
        &["shopper caller callername customer customername visitor visitorname guest guestname \
           buyer buyername contact contactname"],
    ),
    ("shopperId", &["customerid customernumber visitorid guestid buyerid contactid"]),
    (
        "shopperEmail",
        &["email emailaddress calleremail customeremail visitoremail guestemail contactemail mail"],
    ),
    (
        "shopperPhone",
        &["phone phonenumber telephone tel mobile callernumber callerphone callerid customerphone \
           visitorphone contactphone"],
    ),
    ("shopperCountry", &["country countrycode callercountry customercountry visitorcountry"]),
    ("source", &["origin entrypoint calledvia calledfrom"]),
    ("queueName", &["queue department team skill group line"]),
    ("pageUrl", &["page url link landingpage referrer pageaddress"]),
    ("waitSeconds", &["wait waittime waitingtime waited queuetime ringtime holdtime"]),
    ("durationSeconds", &["duration callduration calllength length lasted talktime"]),
    ("wrapUpSeconds", &["wrapup wrapuptime aftercallwork acw acwtime"]),
    ("rating", &["score stars csat satisfaction customerrating"]),
    ("ratingComment", &["feedback comment comments review customerfeedback"]),
    ("notes", &["note agentnotes remark remarks summary"]),
    ("orderId", &["order ordernumber orderno orderref transactionid"]),
    ("orderValueMinor", &["ordervaluecents orderamountminor amountminor amountcents valuecents"]),
    ("currency", &["currencycode ordercurrency"]),
    ("recordingUrl", &["recording recordinglink recordingfile videourl"]),
    ("tags", &["tag labels label categories category"]),
    ("updatedAt", &["updated updatedon modified modifiedat lastmodified lastupdated changedat"]),
];

/// The field that each column probably holds. No field is suggested twice, and a column with a field's own name wins.
pub(in crate::sessions::import) fn guess_fields(names: &[String]) -> Vec<Option<&'static str>> {
    let mut fields = vec![None; names.len()];
    for (index, name) in names.iter().enumerate() {
        let field = find_column_loosely(name).filter(|field| !fields.contains(&Some(*field)));
        fields[index] = field;
    }
    let names: Vec<String> = names.iter().map(|name| normalize_name(name)).collect();
    for (field, synonyms) in SYNONYMS {
        if fields.contains(&Some(field)) {
            continue;
        }
        let is_free = |index: usize, synonym: &str| fields[index].is_none() && names[index] == synonym;
        let column = |synonym: &str| (0..names.len()).find(|index| is_free(*index, synonym));
        if let Some(index) = split_names(synonyms).find_map(column) {
            fields[index] = Some(field);
        }
    }
    fields
}

fn split_names(synonyms: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    synonyms.iter().flat_map(|names| names.split(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fields::COLUMNS;

    /// The guesses for a header of these names, separated by commas.
    fn guess(header: &str) -> String {
        let names: Vec<String> = header.split(',').map(str::to_owned).collect();
        guess_fields(&names).into_iter().map(|field| field.unwrap_or("-")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn names_of_other_programs_are_recognised() {
        assert_eq!(
            guess("State,Kind,Operator,Caller,Start,End"),
            "status,channel,agentName,shopperName,createdAt,endedAt"
        );
        assert_eq!(
            guess("Call-ID,Call Type,Phone number,Talk time,Comments,Amount,E-Mail"),
            "externalId,channel,shopperPhone,durationSeconds,ratingComment,-,shopperEmail"
        );
    }

    #[test]
    fn a_start_is_the_creation_unless_there_is_a_better_column() {
        assert_eq!(guess("Created,Start,End"), "createdAt,startedAt,endedAt");
        assert_eq!(guess("Start,Answered,End"), "createdAt,startedAt,endedAt");
        assert_eq!(guess("From,Until"), "createdAt,endedAt");
    }

    #[test]
    fn own_names_win_and_no_field_is_suggested_twice() {
        assert_eq!(guess("State,Status,STATUS"), "-,status,-");
        assert_eq!(guess("Operator,Agent,Agent"), "-,agentName,-");
        assert_eq!(guess(",x"), "-,-");
    }

    #[test]
    fn table_has_known_fields_once_and_normalized_names() {
        for (index, (field, synonyms)) in SYNONYMS.iter().enumerate() {
            assert!(COLUMNS.contains(field), "{field}");
            assert!(SYNONYMS[..index].iter().all(|(earlier, _)| earlier != field), "{field} is there twice");
            for synonym in split_names(synonyms) {
                assert_eq!(normalize_name(synonym), synonym);
                assert_eq!(find_column_loosely(synonym), None, "{synonym} is a field");
            }
        }
    }
}
