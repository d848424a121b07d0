-- Questions sent through the form of the API documentation.
create table questions (
    question_id uuid primary key,
    name        text not null,
    email       text not null,
    question    text not null,
    asked_at    timestamptz not null default now(),
    constraint questions_name_length check (char_length(name) between 1 and 120),
    constraint questions_email_length check (char_length(email) between 3 and 254),
    constraint questions_question_length check (char_length(question) between 1 and 5000)
);
comment on table questions is 'Questions from the form on /docs, to be answered within a business day.';
comment on column questions.question is '1 to 5000 characters.';
