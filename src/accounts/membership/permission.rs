//! What the roles of a client permit: one table, which routes, pages and changes of members refer to.
//!
//! `docs/security.md` shows the table, and a test compares the two.

use crate::accounts::membership::role::Role;

/// Something that a role may permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    ReadClient,
    ManageKeys,
    ImportSessions,
    EraseShoppers,
    ReadAuditLog,
    /// Does not include owners.
    ManageMembers,
    ManageOwners,
    ManageClient,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct PermissionRow {
    pub permission: Permission,
    /// What it permits, for the documentation.
    pub description: &'static str,
    /// The roles that have it.
    pub roles: &'static [Role],
    /// The sentence for users whose role does not have it.
    refusal: &'static str,
}

const EVERYBODY: &[Role] = &[Role::Owner, Role::Admin, Role::Member];
const ADMINS: &[Role] = &[Role::Owner, Role::Admin];
const OWNERS: &[Role] = &[Role::Owner];

/// Every permission.
pub const PERMISSIONS: [PermissionRow; 8] = [
    PermissionRow {
        permission: Permission::ReadClient,
        description: "See sessions, imports, API keys, usage and members; leave the client",
        roles: EVERYBODY,
        refusal: "Only members of the client see this page.",
    },
    PermissionRow {
        permission: Permission::ManageKeys,
        description: "Generate, change, replace and delete API keys",
        roles: ADMINS,
        refusal: "Only owners and admins of the client generate, change, replace and delete API keys.",
    },
    PermissionRow {
        permission: Permission::ImportSessions,
        description: "Import sessions",
        roles: ADMINS,
        refusal: "Only owners and admins of the client import sessions.",
    },
    PermissionRow {
        permission: Permission::EraseShoppers,
        description: "Erase shoppers",
        roles: ADMINS,
        refusal: "Only owners and admins of the client erase shoppers.",
    },
    PermissionRow {
        permission: Permission::ReadAuditLog,
        description: "See the audit log",
        roles: ADMINS,
        refusal: "Only owners and admins of the client see the audit log.",
    },
    PermissionRow {
        permission: Permission::ManageMembers,
        description: "Invite, change and remove admins and members",
        roles: ADMINS,
        refusal: "Only owners and admins of the client invite, change and remove members.",
    },
    PermissionRow {
        permission: Permission::ManageOwners,
        description: "Invite, change and remove owners",
        roles: OWNERS,
        refusal: "Only owners of the client invite, change and remove owners.",
    },
    PermissionRow {
        permission: Permission::ManageClient,
        description: "Change the settings of the client",
        roles: OWNERS,
        refusal: "Only owners of the client change its settings.",
    },
];

impl Permission {
    /// What is needed to invite, change or remove a member with this role.
    #[must_use]
    pub const fn to_manage(role: Role) -> Self {
        match role {
            Role::Owner => Self::ManageOwners,
            Role::Admin | Role::Member => Self::ManageMembers,
        }
    }

    /// Whether a role has it.
    #[must_use]
    pub fn is_granted_to(self, role: Role) -> bool {
        self.row().roles.contains(&role)
    }

    /// The sentence for users whose role does not have it.
    #[must_use]
    pub fn refusal(self) -> &'static str {
        self.row().refusal
    }

    fn row(self) -> &'static PermissionRow {
        let row = PERMISSIONS.iter().find(|row| row.permission == self);
        row.expect("the table has a row for every permission")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_has_one_row_and_a_refusal_that_names_its_roles() {
        for (index, row) in PERMISSIONS.iter().enumerate() {
            assert!(PERMISSIONS[..index].iter().all(|it| it.permission != row.permission), "{row:?}");
            let who = match row.roles {
                [Role::Owner] => "Only owners of the client ",
                [Role::Owner, Role::Admin] => "Only owners and admins of the client ",
                _ => "Only members of the client ",
            };
            assert!(row.permission.refusal().starts_with(who), "{row:?}");
        }
    }

    #[test]
    fn owners_have_every_permission_and_members_only_read() {
        for row in PERMISSIONS {
            assert!(row.permission.is_granted_to(Role::Owner), "{row:?}");
            assert_eq!(
                row.permission.is_granted_to(Role::Member),
                row.permission == Permission::ReadClient,
                "{row:?}"
            );
        }
        assert!(!Permission::to_manage(Role::Owner).is_granted_to(Role::Admin));
        assert!(Permission::to_manage(Role::Admin).is_granted_to(Role::Admin));
    }
}
