//go:build unix

package api

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"sunspool/internal/race"
	"sunspool/internal/testservices"
	"sunspool/vps/store/bolt"
	"sunspool/vps/store/postgres"
	"sunspool/wire"
)

// onBothStores runs a test on a bench with the embedded store, and on one with a PostgreSQL database of its own.
func onBothStores(t *testing.T, test func(t *testing.T, b *bench), change ...func(*Server)) {
	t.Run("file", func(t *testing.T) { test(t, newBench(t, change...)) })
	t.Run("postgres", func(t *testing.T) {
		p, err := postgres.Open(postgres.Options{URL: testservices.SharedPostgres(t).NewDatabase(t), Writers: 2, Readers: 2, CallTime: testservices.Patience})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		testservices.Await(t, "the database is ready", func() bool { return p.Check(t.Context()) == nil })
		test(t, newBench(t, append(change, func(s *Server) { s.Store = p })...))
	})
}

// Every way to write a year that is far away, at both ends of the span, of every question, in zones at both ends of the day.
func TestEveryYearIsAnsweredOrRefused(t *testing.T) {
	race.Skip(t, "one request after the other")
	years := []string{"", "0000-01-01T00:00:00Z", "0000-01-01T00:00:00+14:00", "0000-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z",
		"1900-02-28", "1969-12-31T23:59:59Z", "2009-01-01", "2009-12-31", "2010-01-01", "2010-01-01T00:00:00Z", "2010-01-01T00:00:00+14:00", "2026-06-21",
		"2262-04-12T00:00:00Z", "9990-12-31", "9990-12-31T23:59:59-14:00", "9991-01-01", "9999-12-31", "9999-12-31T23:59:59-14:00"}
	var questions []string
	for path, resolutions := range map[string][]string{
		"series": {"", "raw", "1m", "1d", "1M", "1y"}, "energy": {"", "hour", "month", "year"}, "continuity": {""}, "export.csv": {"", "raw", "1d"},
	} {
		for _, r := range resolutions {
			questions = append(questions, path+"?resolution="+r)
		}
	}
	for _, mode := range []string{"previous", "last_year"} {
		questions = append(questions, "energy?resolution=year&compare="+mode, "energy?compare="+mode)
	}
	slices.Sort(questions)
	onBothStores(t, func(t *testing.T, b *bench) {
		if _, err := b.Store.Insert(t.Context(), "inv-1", []wire.Sample{sample(0), sample(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		ask := func(question, from, to, zone string) {
			target := "/v1/" + question + "&device_id=inv-1&tz=" + zone + "&from=" + url.QueryEscape(from) + "&to=" + url.QueryEscape(to)
			w := b.get(target, token1)
			far := func(text string) bool { return text != "" && (text < "2010" || text >= "9991") }
			if code := ""; w.Code != 200 {
				if code = decodeJSON[wire.Problem](t, w).Code; w.Code != 422 || code == "" || (far(from) || far(to)) != (code == "datetime_parsing") {
					t.Errorf("%s: %d %.300s", target, w.Code, w.Body)
				}
			} else if far(from) || far(to) {
				t.Errorf("%s: is answered", target)
			}
		}
		_, file := b.Store.(*bolt.Store)
		for i, question := range questions {
			for j, year := range years {
				if !file && (i+j)%4 > 0 { // it is asked for the same times, by the same program
					continue
				}
				zone := []string{"Pacific/Kiritimati", "America/Adak", "UTC"}[(i+j)%3]
				ask(question, year, "", zone)
				ask(question, "", year, zone)
				ask(question, "2010-01-01", year, zone)
				ask(question, year, "9990-12-31", zone)
			}
		}
		for _, month := range []string{"0000-01", "0001-01", "1969-12", "2009-12", "2010-01", "2262-04", "9990-12", "9991-01", "9999-12", "-001-01", "10000-01"} {
			w := b.get("/v1/capacity/month/"+month+"?device_id=inv-1", token1)
			want := 400
			if year, err := time.Parse("2006-01", month); err == nil && year.Year() >= 2010 && year.Year() <= 9990 {
				want = 200
			}
			if w.Code != want || want == 400 && decodeJSON[wire.Problem](t, w).Code != "bad_month" {
				t.Errorf("capacity of %s: %d %.200s", month, w.Code, w.Body)
			}
		}
	})
}
