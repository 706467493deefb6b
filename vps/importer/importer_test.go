//go:build unix

package importer

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"sunspool/health"
	"sunspool/internal/testservices"
	"sunspool/vps/progress"
	"sunspool/vps/store"
	"sunspool/vps/store/bolt"
	"sunspool/wire"
)

// original is a database as the Python server's migration makes it, with three days of two inverters: "meter" behind a LAN
// port, "dongle" behind a WiNet-S, whose export is 0 or 1.
func original(t *testing.T) (url string, db *pgx.Conn) {
	t.Helper()
	progress.LineEvery = 0
	url = testservices.SharedPostgres(t).NewDatabase(t)
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close(context.Background()) })
	_, err = db.Exec(t.Context(), `
		create table sungrow_samples (
			device_id text not null, ts timestamptz not null, pv_power_w double precision not null, pv_daily_kwh double precision,
			battery_power_w double precision not null, battery_soc_pct double precision not null, battery_temp_c double precision,
			load_power_w double precision not null, export_power_w double precision not null, sample_count integer not null default 1,
			primary key (device_id, ts));
		insert into sungrow_samples
			select d, '2026-03-28T10:00:00Z'::timestamptz + n * interval '1 minute', n % 4000, null, 500 - n % 1000, 50, -3.5, 700,
				case d when 'meter' then n % 3000 - 1500 else n % 2 end, 1 + n % 3
			from generate_series(0, 3999) n, unnest(array['meter', 'dongle']) d`)
	if err != nil {
		t.Fatal(err)
	}
	return url, db
}

func runImport(t *testing.T, dir, url string, more Config) (string, error) {
	t.Helper()
	var out strings.Builder
	more.From = url
	err := Run(t.Context(), into(dir), more, &out)
	return out.String(), err
}

// into opens the store in dir.
func into(dir string) func() (store.Samples, error) {
	return func() (store.Samples, error) { return bolt.Open(dir + "/vps.db") }
}

func samplesOf(t *testing.T, dir, device string) (all []wire.Sample) {
	t.Helper()
	disk, err := bolt.Open(dir + "/vps.db")
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	if err := disk.Each(t.Context(), device, time.Time{}, time.Time{}, func(s wire.Sample) bool { all = append(all, s); return true }); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestImportCopiesEverySampleOfTheOriginalOnce(t *testing.T) {
	url, _ := original(t)
	dir := t.TempDir()
	out, err := runImport(t, dir, strings.Replace(url, "postgres://", "postgresql+asyncpg://", 1), Config{})
	if err != nil {
		t.Fatal(err, out)
	}
	for _, want := range []string{"meter: 4000 samples from 2026-03-28T10:00:00Z to 2026-03-31T04:39:00Z", "8000 samples in the old database, 8000 copied now, 0 were here already", "every day has"} {
		if !strings.Contains(out, want) {
			t.Errorf("the import does not say %q:\n%s", want, out)
		}
	}
	if strings.Count(out, "never anything but 0 or 1") != 1 {
		t.Errorf("one device has no export:\n%s", out)
	}
	for _, device := range []string{"meter", "dongle"} {
		all := samplesOf(t, dir, device)
		if len(all) != 4000 {
			t.Fatalf("%d samples of %s", len(all), device)
		}
		s := all[1234]
		want := wire.Sample{DeviceID: device, Time: time.Date(2026, 3, 28, 10, 1234, 0, 0, time.UTC), PVPowerW: 1234, BatteryPowerW: new(266.0), BatterySOCPct: new(50.0),
			BatteryTempC: new(-3.5), LoadPowerW: new(700.0), ExportPowerW: new(-266.0), Count: 2}
		if device == "dongle" {
			want.ExportPowerW = new(0.0)
		}
		if string(s.AppendPacked(nil)) != string(want.AppendPacked(nil)) {
			t.Errorf("%s is %+v, want %+v", device, s, want)
		}
	}
	out, err = runImport(t, dir, url, Config{})
	if err != nil || !strings.Contains(out, "0 copied now, 8000 were here already") {
		t.Errorf("again: %v\n%s", err, out)
	}
}

func TestImportLeavesOutAnExportThatWasNeverMeasured(t *testing.T) {
	url, _ := original(t)
	dir := t.TempDir()
	if out, err := runImport(t, dir, url, Config{Export: "drop"}); err != nil {
		t.Fatal(err, out)
	}
	if s := samplesOf(t, dir, "dongle")[7]; s.ExportPowerW != nil {
		t.Errorf("export of the dongle is %v", *s.ExportPowerW)
	}
	if s := samplesOf(t, dir, "meter")[7]; s.ExportPowerW == nil || *s.ExportPowerW != -1493 {
		t.Errorf("export of the meter: %+v", s)
	}
}

// An import that is cut off, into a store that an edge fills meanwhile, is completed by the next one.
func TestImportGoesOnWhereItStopped(t *testing.T) {
	url, db := original(t)
	dir := t.TempDir()
	disk, err := bolt.Open(dir + "/vps.db")
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)
	for i := range 1440 { // as many as the Python server has on that day, but others
		own := wire.Sample{Time: day.Add(time.Duration(i)*time.Minute + time.Second), PVPowerW: 9, Count: 1}
		if _, err := disk.Insert(t.Context(), "meter", []wire.Sample{own}); err != nil {
			t.Fatal(err)
		}
	}
	disk.Close()
	ctx, cancel := context.WithCancel(t.Context())
	err = Run(ctx, into(dir), Config{From: url}, &canceller{cancel: cancel})
	if f, ok := errors.AsType[*health.Fault](err); !ok || f.Code != "import_interrupted" || f.Exit != health.ExitInterrupted || f.Why != "" || f.Err != nil {
		t.Errorf("interrupted: %v", err)
	}
	if n := len(samplesOf(t, dir, "dongle")); n == 0 || n == 4000 {
		t.Errorf("%d samples of the first device were copied before the interruption", n)
	}
	if text, err := runImport(t, dir, url, Config{Check: true}); err == nil || !strings.Contains(err.Error(), "are not here") {
		t.Errorf("the comparison of a part: %v\n%s", err, text)
	}
	if text, err := runImport(t, dir, url, Config{}); err != nil {
		t.Error(err, text)
	}
	if n := len(samplesOf(t, dir, "meter")); n != 4000+1440 {
		t.Errorf("%d samples, want 5440", n)
	}
	if n := len(samplesOf(t, dir, "dongle")); n != 4000 {
		t.Errorf("%d samples, want 4000", n)
	}
	if _, err := db.Exec(t.Context(), "insert into sungrow_samples values ('meter', '2026-04-02', 1, null, 0, 50, null, 1, 1, 1)"); err != nil {
		t.Fatal(err)
	}
	if text, err := runImport(t, dir, url, Config{}); err != nil || !strings.Contains(text, "1 copied now") {
		t.Error(err, text)
	}
}

// canceller ends the import when it has copied the first day.
type canceller struct{ cancel func() }

func (c *canceller) Write(p []byte) (int, error) {
	if strings.HasPrefix(string(p), "840 of ") {
		c.cancel()
	}
	return len(p), nil
}

func TestImportSaysWhatItCannotStore(t *testing.T) {
	url, db := original(t)
	_, err := db.Exec(t.Context(), `
		insert into sungrow_samples values
			('meter', '2026-05-01T12:00:00Z', 'NaN', null, 0, 50, null, 1, 5, 1), ('meter', '1970-01-01T00:00:07Z', 1, null, 0, 50, null, 1, 5, 1),
			('bad id', '2026-05-01', 1, null, 0, 50, null, 1, 5, 1)`)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runImport(t, t.TempDir(), url, Config{})
	f, ok := errors.AsType[*health.Fault](err)
	if !ok || f.Exit != health.ExitUnhealthy || !strings.Contains(f.What, "3 samples of the Python server, on 3 days, are not here") || f.Why == "" {
		t.Errorf("%v", err)
	}
	if !strings.Contains(out, "8003 samples in the old database, 8000 copied now") || strings.Count(out, "not stored: ") != 3 {
		t.Error(out)
	}
}

func TestImportFromTheWrongPlaceSaysSo(t *testing.T) {
	empty := testservices.SharedPostgres(t).NewDatabase(t)
	for url, want := range map[string]string{
		empty:                                  "no table sungrow_samples",
		"":                                     "not understood", // IMPORT_FROM= in the environment
		"postgres://u:canary-pw@127.0.0.1:1/x": "cannot connect",
		"postgres://u:canary-pw@127.0.0.1:port/x": "not understood",
		"mysql://u:canary-pw@127.0.0.1/x":         "not understood",
		strings.Replace(empty, "?", "x?", 1):      "cannot connect",
	} {
		_, err := runImport(t, t.TempDir(), url, Config{})
		f, ok := errors.AsType[*health.Fault](err)
		if !ok || !strings.Contains(f.What, want) || f.Next == "" {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if strings.Contains(f.Error()+f.Why+f.What+f.Next, "canary-pw") {
			t.Errorf("the password is shown: %+v", f)
		}
	}
}
