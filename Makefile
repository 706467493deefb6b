# Targets: test lint build bench fuzz demo. `make test` is what CI runs; `make help` lists the rest, docs/testing.md says
# what each proves.
SHELL := /bin/bash
GO ?= go
FUZZTIME ?= 30s
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
export CGO_ENABLED ?= 0
# For tests too: what they compile is then what is shipped, and compiled once. The tag leaves 1.4 MB out that pgx has for
# statements that are not prepared; vps/store/postgres/database/types.go has what ours need of it.
TAGS := nopgxregisterdefaulttypes
export GOFLAGS ?= -trimpath -tags=$(TAGS)

.PHONY: help test forget-unsteady unit race test-race lint build bench bench-vps fuzz demo simulate clock test-damage test-crash test-frames test-values test-energy test-leaks test-backlog test-hostile test-outages test-proxies test-export test-copy test-networks test-images test-compose test-appliance test-qemu test-packages test-timescale test-citus test-system test-system-all test-release deb build-armv7 stage release-snapshot test-32bit test-386 test-arm test-tokens test-page test-page-browsers page-pictures page-budget test-fleet

help:
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

# A test that fails is run once more when the others are over: twice is a failure. Once is named at the end, and is to be mended
# all the same, see docs/testing.md. There is no second time for more than three, for a build or for a data race:
# $(call tested,NAME,FORMAT,PACKAGES,FLAGS)
GOTESTSUM_VERSION := v1.13.0
GOTESTSUM := build/gotestsum-$(GOTESTSUM_VERSION)/gotestsum
tested = $(GOTESTSUM) --format $(2) --hide-summary skipped --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-run-root-test \
	--rerun-fails-abort-on-data-race --rerun-fails-report build/unsteady-$(1).txt --packages "$(3)" -- $(4)

# Unit tests measure time, so they have the machine for themselves. The rest is beside each other: what is installed, booted
# and brought up mostly waits, and has the processors first when it does not.
test: forget-unsteady lint unit ## everything that must hold before a change lands
	@$(MAKE) --no-print-directory -j4 --output-sync=target test-system test-images race test-page test-qemu build test-packages test-386
	@sed 's/^/UNSTEADY, TO BE MENDED: /' build/unsteady-*.txt 2>/dev/null || true

forget-unsteady: # what earlier runs named
	@rm -f build/unsteady-*.txt

test-appliance: ## what is shipped, as its owners run it (root on Debian; else it says what it skips)
	@$(MAKE) --no-print-directory -j4 --output-sync=target test-system test-images test-qemu test-packages test-386

behind := nice -n 10

# Where tests have their files: in memory, if that is large enough and programs may be run there. A flush costs nothing there, and
# no test cuts the power of this machine: those of power cuts read which calls were made.
memory = $(shell grep -qs ' /dev/shm tmpfs ' /proc/mounts && ! grep -qs ' /dev/shm tmpfs [^ ]*noexec' /proc/mounts && \
	[ "$$(df --output=avail /dev/shm | tail -1)" -gt 4000000 ] && echo TMPDIR=/dev/shm GOTMPDIR=$${GOTMPDIR:-$${TMPDIR:-/tmp}})

# More packages at once than there are processors: many of them wait. Those that take longest begin. vet is a part of lint.
unit: $(GOTESTSUM) ## all tests, fuzz seeds included
	$(memory) $(call tested,unit,standard-quiet,./vps ./demo ./edge ./...,-p 4 -parallel 4 -vet=off -timeout 30m)

# Under the race detector, which needs a C compiler: $(call under_race,NAME,PACKAGES,FLAGS)
under_race = @if command -v gcc >/dev/null || command -v cc >/dev/null; then \
		$(memory) CGO_ENABLED=1 $(behind) $(call tested,$(1),standard-quiet,$(2),-race -short -vet=off -timeout 60m $(3)); \
	else echo "SKIPPED: no C compiler, so no race detector"; fi

# All of the packages that make goroutines meet but tests that are of one goroutine and take long, and of what is made of these the
# tests in which all of it is at work at once: docs/testing.md says how they are chosen.
raced := $(addprefix ./,edge/mdns edge/pace edge/report edge/spool edge/transport edge/upload health internal/localsocket systemd vps/auth vps/deviceinfo vps/fair vps/listener vps/live vps/store/bolt vps/store/fairqueue)
alone := CrashWhileCompacting|RetractNeedsLittleMemory|RetractThatIsCutOff|DamagedRecordStops|DamagedSpoolsStay|DamagedEntries|TimesInTheRing|TimesBehindALongBacklog|MarkIsAlwaysAhead|SalvageTakesTheReserve|GarbageIsAnError
alone := $(alone)|BelievedClockThatStaysAhead|ServersOfSeveralVersions|TooManyRequestsKeeps|SearchOnASlowUplink|AbsurdLists|ServerThatRefusesEverything|PendingRollups|OfVersionOne|FileOfTheFirstSchema|MappedFileStaysSmall
whole := TwoInvertersBehindOneDongleLoseNothing|SamplesWaitInMemory|EndWritesBeforeItUploads|RunServesReloadsAndStops|CertificateIsRenewed|TariffIsRead|BackupRestoreAndSendAgain|ProcessesShareWhatIsNew|.*Stream
whole := $(whole)|MoreRequestsThanPlaces|ReadersAndUploadsHave|OneTokenLeaves|BrowsersWhileTokensChange|LargeReadsLeave|LargeUploadsLeave|LongWorkWaits|ReadMakesRoom|OutageLosesNothing|SpoolDrains|RandomSchedules

race: $(GOTESTSUM) ## where goroutines meet, under the race detector (5 min of processor time; needs a C compiler)
	$(call under_race,race,$(raced),-skip '$(alone)')
	$(call under_race,race-whole,./edge ./vps ./vps/api ./demo,-run '^Test($(whole))')

# All but what is arithmetic from end to end.
test-race: $(GOTESTSUM) ## all packages with goroutines under the race detector; their tests say what it has nothing to say about (25 min, needs a C compiler)
	$(call under_race,race-all,./demo ./health ./systemd ./internal/localsocket ./internal/testservices $(filter-out %/registers %/witness %/energytest,$(shell $(GO) list ./edge/... ./vps/...)),)

lint: ## gofmt, vet, go fix, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "gofmt -w these:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	@test -z "$$($(GO) fix -diff ./...)" || { $(GO) fix -diff ./...; exit 1; }
	$(GO) tool staticcheck ./...

build: ## the static binary, ./sunspool
	$(GO) build -trimpath -tags $(TAGS) -ldflags "-s -w -X main.version=$(VERSION)" -o sunspool .

# nfpm, and with it all that it needs, is built in its own module.
NFPM_VERSION := v2.45.2
NFPM ?= build/nfpm-$(NFPM_VERSION)/nfpm
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
DEB_VERSION ?= $(shell packaging/version)
export SOURCE_DATE_EPOCH

deb: $(addprefix deb-,amd64 arm64 armhf) ## the Debian packages, dist/*.deb: amd64, arm64, armhf (ARMv6)

deb-amd64: GOENV := GOARCH=amd64
deb-arm64: GOENV := GOARCH=arm64
deb-armhf: GOENV := GOARCH=arm GOARM=6

deb-%: stage $(NFPM)
	@mkdir -p build/$* dist
	GOOS=linux $(GOENV) $(GO) build -trimpath -tags $(TAGS) -ldflags "-s -w -X main.version=$(DEB_VERSION)" -o build/$*/sunspool .
	ARCH=$* VERSION=$(DEB_VERSION) PROGRAM=build/$*/sunspool \
		$(NFPM) package --packager deb --target dist/sunspool_$(DEB_VERSION)_$*.deb

$(GOTESTSUM):
	GOBIN="$(abspath $(@D))" $(GO) install gotest.tools/gotestsum@$(GOTESTSUM_VERSION)

$(NFPM):
	GOBIN="$(abspath $(@D)).$$$$" && export GOBIN && $(GO) install github.com/goreleaser/nfpm/v2/cmd/nfpm@$(NFPM_VERSION) && \
		mkdir -p $(@D) && mv "$$GOBIN/nfpm" $@ && rmdir "$$GOBIN" # whole at once: tests beside each other may make it

build-armv7: # in no package, but in a release
	GOOS=linux GOARCH=arm GOARM=7 $(GO) build -trimpath -tags $(TAGS) -ldflags "-s -w -X main.version=$(VERSION)" -o build/armv7/sunspool .

stage: # manual pages, completions and licences, the same for all
	packaging/stage

release-snapshot: ## what a release makes, of this commit: dist/release (its tools are built the first time, 15 min)
	packaging/release-snapshot

bench: ## benchmarks; each prints its ratio to a baseline of the same run (bytes at the device take root)
	$(GO) test -run '^$$' -bench . -benchtime 1s -timeout 30m ./...

bench-vps: ## the server on PostgreSQL and Redis with DAYS=365 of a device, in ratios to bare inserts and an empty handler (8 min)
	$(GO) test ./vps -run '^$$' -bench Fleet -benchtime 1x -fleet-days $(or $(DAYS),365) -timeout 2h 2>/dev/null

.PHONY: docs
docs: ## write what docs/errors.md, docs/metrics.md and docs/api*.md have of the program, and what it carries as gzip; make test compares it
	$(GO) test -count 1 ./docs/reference -run 'PackedFiles' -update-docs
	$(GO) test -p 1 -count 1 ./edge/report ./vps/api ./docs/... -run 'Reference' -update-docs

.PHONY: docs-first-run
docs-first-run: ## write docs/first-run.md: what the terminals of two new machines show (root on Debian, 1 min)
	$(GO) test ./packaging -count 1 -v -timeout 10m -run '^TestFirstRun$$' -first-run "$(CURDIR)/docs/first-run.md"

fuzz: ## every fuzz target for FUZZTIME (30s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
		done; done

# What takes too long for every change. N, DAYS and SEED are how much, and of what.
TORTURE := $(GO) test -count 1 -v -timeout 2h

test-crash: ## N=50000 power cuts of a recorded edge (needs strace)
	$(TORTURE) ./demo -run PowerCut -crash-images $(or $(N),50000) -crash-seed $(or $(SEED),1)

test-frames: ## N=1000000 spoiled Modbus answers
	$(TORTURE) ./edge/inverter -run 'SpoiledFrame|FlippedRegister' -frames $(or $(N),1000000) -frame-seed $(or $(SEED),0)

test-values: ## N=100000 polls with registers that are missing, stale or of another inverter
	$(TORTURE) ./edge/witness -run WhatIsPublished -polls $(or $(N),100000)

test-energy: ## N=10000 random histories of counters, and the energy that comes of them
	$(TORTURE) ./vps/store/rollup -run RandomHistories -histories $(or $(N),10000)

test-leaks: ## DAYS=7 virtual days of faults at the pace of life
	$(TORTURE) ./edge -run LeaksNothing -leak-days $(or $(DAYS),7) -leak-poll 5

test-backlog: ## an outage of DAYS=30, delivered while polling
	$(TORTURE) ./demo -run Backlog -backlog-days $(or $(DAYS),30)

test-hostile: ## N=100000 hostile requests to the vps while a good client works
	$(TORTURE) ./vps -run HostileCallers -hostile $(or $(N),100000) -hostile-seed $(or $(SEED),1)

test-tokens: ## tokens come and go for TIME=5m while two servers store; and 19 of 20 tokens hostile as long, on both stores, direct and through Caddy
	$(TORTURE) ./vps -run TokensComeAndGo -rotation-time $(or $(TIME),5m)
	$(TORTURE) ./vps -run NineteenHostileTokens -hostile-time $(or $(TIME),5m)

test-fleet: ## DEVICES=300 send for DAYS=30 on both stores; the times of the list, of sites and of the metrics are printed
	$(TORTURE) ./vps/api -run AFleetSendsForWeeks -fleet-devices $(or $(DEVICES),300) -fleet-days $(or $(DAYS),30)

test-outages: ## N=200 random sequences of outages of PostgreSQL, Redis and the vps itself under load
	$(TORTURE) ./vps -run OutagesLoseNothing -outages $(or $(N),200) -outage-seed $(or $(SEED),1)

test-proxies: ## N=20000 samples through each of nginx, HAProxy, Apache and Caddy, as documented, with HTTP/1.1 and HTTP/2, while they reload and the vps is killed
	$(TORTURE) ./demo -run 'DocumentedProxies|ReloadedProxies' -proxy-samples $(or $(N),20000) -proxy-kills 4

test-export: ## DAYS=365 of samples, exported over a slow line
	$(TORTURE) ./vps/api -run SlowExport -export-days $(or $(DAYS),365)

test-copy: ## DAYS=365 of a device, copied from the embedded store to PostgreSQL and back; then the answers to every question, of such ones
	$(TORTURE) ./vps/storecopy -run CopyOfAYear -copy-days $(or $(DAYS),365)
	$(TORTURE) ./vps -run EveryAnswerIsTheSameAfterACopy -copy-days $(or $(DAYS),365)

test-networks: ## an edge on real networks and behind real proxies, with the waits that it has in life (root; nft, dnsmasq, squid, tinyproxy)
	$(TORTURE) ./edge/transport -run 'RealNetwork|RealProxies' -networks

test-images: $(GOTESTSUM) ## both images built and run in a Docker engine of its own (root; needs docker.io, which root on Debian installs)
	$(call tested,images,standard-verbose,./packaging,-count 1 -timeout 2h -run '^TestImages$$' -args -images)

test-packages: $(NFPM) $(GOTESTSUM) ## the Debian packages of three architectures, built twice and judged by lintian
	NFPM="$(abspath $(NFPM))" $(behind) $(call tested,packages,standard-verbose,./packaging,-count 1 -timeout 20m -run '^TestPackages$$' -args -packages)

test-timescale: ## the PostgreSQL store on TimescaleDB, in a Debian 13 of its own (root; 2 min, the first time 3 more)
	$(TORTURE) ./vps/store/postgres -run '^TestTimescale$$' -timescale

test-citus: ## the PostgreSQL store on a Citus that is there: TEST_CITUS_URL=postgres://... TEST_CITUS_WORKERS=host:port,...
	$(TORTURE) ./vps/store/postgres -run '^TestCitus$$'

test-compose: ## both compose files brought up whole, an edge that delivers through Caddy included (root; 9 min, the first time 2 more)
	$(TORTURE) ./packaging -run '^TestCompose$$' -compose

test-release: ## release-snapshot with a Docker engine of its own, and what came of it (root; 3 min, the first time 18)
	$(TORTURE) ./packaging -run '^TestRelease$$' -release

test-system: $(GOTESTSUM) ## the package on a Debian 12 with a real systemd: installed, set up, hung, killed, rebooted, upgraded, purged; two of them paired (root, 4 min)
	$(call tested,system,standard-verbose,./packaging,-count 1 -timeout 20m -run '^Test(System|Setup|Pairing)$$' -args -system bookworm)

test-system-all: ## the same on Debian 12 and 13
	$(GO) test ./packaging -count 1 -v -timeout 30m -run '^TestSystem$$' -system bookworm,trixie

# The page. Its scripts install what they need, once, or print what is skipped (vps/web/test/run).
page := build/page
test-page: export UNSTEADY := $(abspath build/unsteady-page.txt)
test-page page-pictures page-budget test-page-browsers: export SUNSPOOL := $(abspath sunspool)

test-page: build ## the page: types, lint, units, then every view and state in Chromium against the program (Node 20, npm)
	$(behind) vps/web/test/run types lint unit page

test-page-browsers: build ## the first view, live and a day in Firefox ESR and in WebKitGTK (Node 20, npm)
	$(behind) vps/web/test/run firefox webkit

page-pictures: build ## pictures of every view and state: build/page/pictures
	OUT="$(abspath $(page)/pictures)" $(behind) vps/web/test/run pictures

page-budget: build ## the page's budget as a table: bytes, requests, times, processor, memory, what moves; fails on what can be counted
	@vps/web/test/run budget

test-32bit: test-386 test-arm ## what depends on the size of a word, on 386 and on the oldest Raspberry Pi

# What keeps, dates and packs numbers.
words := wire edge/clock edge/inverter edge/night edge/pace edge/reading edge/registers edge/spool edge/spool/format edge/spool/salvage

of386 := $(addprefix ./,$(words)) ./edge ./edge/config ./edge/report ./edge/spool/inspect ./edge/token ./edge/transport ./edge/upload/... ./vps/store ./vps/store/bolt ./vps/store/redis

test-386: $(GOTESTSUM) # what the edge and the stores of a 32-bit host do
	@if GOARCH=386 $(GO) test -vet=off -run '^$$' ./wire >/dev/null 2>&1; then \
		GOARCH=386 $(behind) $(call tested,386,standard-quiet,$(of386),-short -vet=off -timeout 30m); \
	else \
		echo "SKIPPED: this host runs no 32-bit programs of x86 (the packages for ARM are 32-bit and compiled; make test-arm runs these tests on an emulated one)"; \
	fi

# GOARM=6 on an arm1176 is the first Raspberry Pi: what needs a later one stops there as an illegal instruction.
test-arm:
	@command -v qemu-arm-static >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get install -y --no-install-recommends qemu-user-static >/dev/null; } || true
	@if ! command -v qemu-arm-static >/dev/null; then echo "SKIPPED: no qemu-arm-static, so nothing ran on ARM (apt-get install qemu-user-static)"; exit 0; fi; \
	set -e; dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	for pkg in $(words); do \
		GOARCH=arm GOARM=6 $(GO) test -c -o "$$dir/test" ./$$pkg; \
		(cd $$pkg && qemu-arm-static -cpu arm1176 "$$dir/test" -test.short); \
	done

test-qemu: $(GOTESTSUM) ## the edge as built for three Raspberry Pis, on emulated processors, through an outage and a kill -9
	$(behind) $(call tested,qemu,standard-verbose,./packaging,-count 1 -timeout 2h -parallel 3 -run 'OtherProcessors|ARMv6' -args -qemu)

clock: ## 2,000 random lives of a host with a bad clock
	CLOCK_SCHEDULES=2000 $(GO) test -run ClockSchedules -timeout 30m ./edge/clock

simulate: ## N random schedules of 4 h each (10000, about 40 min on 2 cores); CI plays 12
	$(GO) test ./demo -run '^TestRandomSchedulesLoseNothing$$' -timeout 24h -v -schedules $(or $(N),10000) | grep -v '^=== \|--- PASS: .*/'

test-damage: ## 2,000 damaged spool files (FILES=n for more): no process dies, no whole record is lost
	DAMAGED_FILES=$(or $(FILES),2000) $(GO) test ./edge/spool -count 1 -v -timeout 60m -run '^(TestDamagedSpoolGivesBackEveryWholeRecord|TestCutAtEverySector|TestSalvageOfALargeSpoolTakesLessThanAStart)$$'

demo: ## show it
	$(GO) run . demo
