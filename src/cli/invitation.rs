//! `uptok invitation`: invites people to a client, and lists, resends and withdraws invitations.

use anyhow::{Context as _, bail};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use diesel::PgConnection;
use uuid::Uuid;

use super::command_context::{DatabaseHandle, audit_context, print_line};
use crate::{
    accounts::{self, EmailAddress, LinkToken, Role},
    audit::AuditContext,
    clients::{self, InvitationError, NewInvitation},
    config::Settings,
    ids::ClientId,
    web::format::time::rfc3339,
};

#[derive(Subcommand)]
pub(super) enum InvitationCommand {
    /// Invite someone to a client, and print the link, once. It works for 7 days
    Create {
        #[command(flatten)]
        invited: InvitedAddress,
        /// The role of the future member
        #[arg(long, default_value = "member", value_parser = PossibleValuesParser::new(Role::NAMES).try_map(|text| text.parse::<Role>()))]
        role: Role,
    },
    /// List the invitations of a client: email, role and when the link expires
    List {
        /// The client
        #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
        client: ClientId,
    },
    /// Make a new link for an invitation, and print it, once. The previous link stops working
    Resend {
        #[command(flatten)]
        invited: InvitedAddress,
    },
    /// Withdraw an invitation: its link stops working
    Withdraw {
        #[command(flatten)]
        invited: InvitedAddress,
    },
}

/// Names an invitation: an address is invited to a client once at a time.
#[derive(Args)]
pub(super) struct InvitedAddress {
    /// The client
    #[arg(long, value_parser = |text: &str| text.parse::<ClientId>())]
    client: ClientId,
    /// The email of the person; nobody else can use the link
    #[arg(long, value_parser = |text: &str| text.parse::<EmailAddress>().map_err(str::to_owned))]
    email: EmailAddress,
}

pub(super) fn run(settings: &Settings, command: InvitationCommand) -> anyhow::Result<()> {
    let (_database, db) = DatabaseHandle::connect(settings)?;
    let mut connection = db.connect()?;
    let context = audit_context(settings)?;
    match command {
        InvitationCommand::Create { invited, role } => {
            let token = create(&mut connection, &context, invited, role)?;
            print_link(settings, &token)
        }
        InvitationCommand::List { client } => list(&mut connection, &client),
        InvitationCommand::Resend { invited } => {
            let (token, id) = (LinkToken::generate(), find(&mut connection, &invited)?);
            clients::resend(&mut connection, &context, &invited.client, id, &token)?;
            print_link(settings, &token)
        }
        InvitationCommand::Withdraw { invited } => {
            let id = find(&mut connection, &invited)?;
            clients::withdraw(&mut connection, &context, &invited.client, id)?;
            print_line(&format!("The invitation of {} is withdrawn", invited.email))
        }
    }
}

fn create(
    connection: &mut PgConnection,
    context: &AuditContext,
    invited: InvitedAddress,
    role: Role,
) -> anyhow::Result<LinkToken> {
    let InvitedAddress { client, email } = invited;
    accounts::require_client(connection, &client)?;
    let email = EmailAddress::parse_deliverable(email.as_str()).map_err(anyhow::Error::msg)?;
    let token = LinkToken::generate();
    let new = NewInvitation { email, role };
    match clients::invite(connection, context, &client, &new, &token) {
        Ok(()) => Ok(token),
        Err(InvitationError::AlreadyMember) => bail!("{} is already a member of {client}", new.email),
        Err(InvitationError::AlreadyInvited) => {
            bail!("{} is already invited; make a new link with uptok invitation resend", new.email)
        }
        Err(error) => Err(error.into()),
    }
}

fn list(connection: &mut PgConnection, client: &ClientId) -> anyhow::Result<()> {
    accounts::require_client(connection, client)?;
    clients::list_invitations(connection, client)?.iter().try_for_each(|invitation| {
        let state = if invitation.is_expired { "\texpired" } else { "" };
        let expires = rfc3339(invitation.expires_at);
        print_line(&format!("{}\t{}\t{expires}{state}", invitation.email, invitation.role))
    })
}

fn find(connection: &mut PgConnection, invited: &InvitedAddress) -> anyhow::Result<Uuid> {
    let InvitedAddress { client, email } = invited;
    accounts::require_client(connection, client)?;
    let invitations = clients::list_invitations(connection, client)?;
    let found = invitations.iter().find(|invitation| invitation.email == *email);
    found.map(|it| it.invitation_id).with_context(|| format!("{email} is not invited to {client}"))
}

fn print_link(settings: &Settings, token: &LinkToken) -> anyhow::Result<()> {
    print_line(&format!("{}/invitations/{}", settings.public_url.origin(), token.expose()))
}
