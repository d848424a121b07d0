.DEFAULT_GOAL := help
.PHONY: help run test test-distributed bench screenshots clients fmt lint

# rustup installs cargo here; a terminal opened before that does not have it on its PATH yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1	\2/p' Makefile | expand -t 24

run: ## Build and run Uptok with a private PostgreSQL and a demo client; Ctrl-C stops both
	@bin/setup run
	cargo build --release --locked
	@exec "$${CARGO_TARGET_DIR:-target}/release/uptok" serve --demo

test: ## Run all checks: format, lints, tests, including those in a real browser
	@bin/test

test-distributed: ## Run the integration tests on the Citus or PostgreSQL of UPTOK_TEST_DATABASE_URL
	@bin/test-distributed

bench: ## Measure exports under load
	@bin/setup bench
	@bin/npm-packages tests/browser
	cargo bench --locked --bench export

screenshots: ## Take the pictures of README and docs again
	@bin/screenshots

clients: ## Generate clients with openapi-generator, compile and run them
	@bin/clients

fmt: ## Format the code
	cargo fmt

lint: ## Check the format and the lints
	cargo fmt --check
	cargo clippy --all-targets --test distributed --locked -- -D warnings
