-- Whether a decision rests on a judgement, so that the latest of these is found without reading documents.
alter table decision add column judged integer not null default 0;
update decision set judged = 1 where body ->> '$.judgement' is not null;
create index decision_judged on decision (launch_id, judged, cursor);
