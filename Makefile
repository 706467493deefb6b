# Targets: test lint build bench fuzz demo. `make test` is what CI runs; `make help` lists the rest.
SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 30s
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
export CGO_ENABLED ?= 0

.PHONY: help test unit race lint build bench fuzz demo test-damage

help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

test: lint unit race build ## everything that must hold before a change lands

unit: ## all tests, fuzz seeds included
	$(GO) test ./...

race: ## the packages with goroutines under the race detector (needs a C compiler)
	@if command -v gcc >/dev/null || command -v cc >/dev/null; then \
		CGO_ENABLED=1 $(GO) test -race -short ./edge/ ./edge/simulator/ ./health/ ./vps/... ./demo/; \
	else echo "SKIPPED: no C compiler, so no race detector"; fi

lint: ## gofmt, vet, go fix, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w these:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	@test -z "$$($(GO) fix -diff ./...)" || { $(GO) fix -diff ./...; exit 1; }
	$(GO) tool staticcheck ./...

build: ## the static binary, ./sunspool
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o sunspool .

bench: ## benchmarks; each prints its ratio to a baseline of the same run
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

fuzz: ## every fuzz target for FUZZTIME (30s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; done

test-damage: ## 2,000 damaged spool files (FILES=n for more): no process dies, no whole record is lost
	DAMAGED_FILES=$(or $(FILES),2000) $(GO) test ./edge -count 1 -v -timeout 60m -run '^(TestDamagedSpoolGivesBackEveryWholeRecord|TestCutAtEverySector|TestSalvageOf100MBTakesLessThanAStart)$$'

demo: ## show it
	$(GO) run . demo
