.DEFAULT_GOAL := help
.PHONY: help run test bench fmt lint

# Where rustup puts cargo, for a terminal that was open before.
export PATH := $(PATH):$(HOME)/.cargo/bin

help: ## Show what there is
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1	\2/p' Makefile | expand -t 16

run: ## Build Uptok and run it with its own PostgreSQL and a demo client; Ctrl-C stops both
	@bin/setup run
	cargo build --release --locked
	@exec "$${CARGO_TARGET_DIR:-target}/release/uptok" serve --demo

test: ## Run everything that checks: format, lints, tests, a real browser
	@bin/test

bench: ## Measure exports under load
	@bin/setup bench
	cargo bench --locked --bench export

fmt: ## Format the code
	cargo fmt

lint: ## Check the format and the lints
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
