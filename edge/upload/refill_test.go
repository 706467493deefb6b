package upload

import (
	"bytes"
	"io"
	"log/slog"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"sunspool/edge/delivered"
	"sunspool/edge/spool"
	"sunspool/edge/upload/uploadtest"
	"sunspool/internal/testhost"
	"sunspool/wire"
)

// keeping returns an uploader that has delivered n samples to s, 10 s apart, and keeps copies of them.
func keeping(t *testing.T, s *uploadtest.Server, n int) (*Uploader, *bytes.Buffer) {
	t.Helper()
	s.Lenient = true
	u := uploaderTo(t, s)
	log := new(bytes.Buffer)
	u.Copies = &delivered.Copies{Dir: filepath.Join(testhost.MemoryDir(t), "copies"), Device: "roof", Keep: 7 * 24 * time.Hour,
		Room: func() int64 { return 1 << 30 }, Log: slog.New(slog.NewTextHandler(log, nil))}
	for i := range n {
		sample := sampleAt(noon.Add(time.Duration(i) * 10 * time.Second))
		if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
			t.Fatal(err)
		}
	}
	drain(t, u, time.Hour)
	return u, log
}

// refillAll calls Refill as the edge does, for that long.
func refillAll(t *testing.T, u *Uploader, long time.Duration) {
	for end := time.Now().Add(long); time.Now().Before(end); {
		pause := 10 * time.Second
		if u.Refill(t.Context()) {
			pause = time.Second
		}
		time.Sleep(pause)
	}
}

// asking makes s ask once for a comparison, and name what it lacks.
func asking(s *uploadtest.Server, missing func(*wire.Kept) [][2]int64) (compared *int) {
	compared = new(int)
	s.Amend = func(b wire.Batch, r *wire.Receipt) {
		r.Compare = *compared == 0
		if b.Kept != nil {
			*compared++
			r.Compare, r.Missing = false, missing(b.Kept)
		}
	}
	return compared
}

// one delivers one more sample.
func one(t *testing.T, u *Uploader, at time.Time) {
	t.Helper()
	sample := sampleAt(at)
	if err := u.Spool.Append(&sample, spool.When{Quality: spool.Synced}); err != nil {
		t.Fatal(err)
	}
	drain(t, u, time.Hour)
}

func TestServerGetsAgainWhatItLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(uploadtest.Server)
		u, _ := keeping(t, s, 2000)
		var seen *wire.Kept
		compared := asking(s, func(k *wire.Kept) [][2]int64 {
			seen = k
			return [][2]int64{{noon.UnixMilli(), noon.Add(3 * time.Hour).UnixMilli()}}
		})
		s.Stored = map[int64]wire.Sample{}
		one(t, u, noon.Add(6*time.Hour))
		refillAll(t, u, 10*time.Minute)
		if n := len(s.Stored); n != 3*360+1 || *compared != 1 || u.Refilled.Load() != 3*360 {
			t.Errorf("%d samples are stored, compared %d times, %d filled again; want three hours and one", n, *compared, u.Refilled.Load())
		}
		if seen == nil || seen.DeviceID != "roof" || len(seen.Hours) != 7 || seen.Hours[0] != [2]int64{noon.UnixMilli(), 360} {
			t.Errorf("shown as kept: %+v", seen)
		}
		if u.Spool.Waiting() != 0 || u.Uploaded.Load() != 2001 || u.Duplicates.Load() != 0 {
			t.Errorf("%d wait, %d uploaded, %d duplicates", u.Spool.Waiting(), u.Uploaded.Load(), u.Duplicates.Load())
		}
		for ms, sample := range s.Stored {
			if want := sampleAt(time.UnixMilli(ms)); !sample.Equal(&want) {
				t.Fatalf("%+v, want %+v", sample, want)
			}
		}
	})
}

// A server that did not ask is told nothing: it may be another program, which refuses what it does not know.
func TestServerThatDoesNotAskIsToldNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(uploadtest.Server)
		u, _ := keeping(t, s, 500)
		s.Amend = func(b wire.Batch, r *wire.Receipt) {
			if b.Kept != nil {
				t.Error("kept")
			}
			r.Missing = [][2]int64{{0, math.MaxInt64}}
		}
		one(t, u, noon.Add(6*time.Hour))
		before := len(s.Requests)
		if refillAll(t, u, time.Hour); len(s.Requests) != before {
			t.Errorf("%d requests", len(s.Requests)-before)
		}
	})
}

// Whatever a server says that it lacks, it gets what is kept at most once.
func TestAbsurdListsOfWhatIsMissing(t *testing.T) {
	const hour = 3600_000
	at := noon.UnixMilli()
	for name, missing := range map[string][][2]int64{
		"everything":  {{math.MinInt64, math.MaxInt64}},
		"overlapping": slices.Repeat([][2]int64{{at, at + 9*hour}, {at + 1, at + 2*hour}, {0, at + 1}}, 500),
		"nothing":     {{at, at}, {at + hour, at}, {math.MaxInt64, math.MinInt64}},
		"the future":  {{at + 1000*hour, at + 2000*hour}},
		"negative":    {{-at, -1}, {-5, 5}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(uploadtest.Server)
			u, _ := keeping(t, s, 1000)
			compared := asking(s, func(*wire.Kept) [][2]int64 { return missing })
			s.Stored = map[int64]wire.Sample{}
			one(t, u, noon.Add(2*time.Hour+time.Second))
			before := len(s.Requests)
			refillAll(t, u, time.Hour)
			if n := len(s.Requests) - before; n > 8 || *compared != 1 || u.Duplicates.Load() != 0 {
				t.Errorf("%s: %d requests", name, n)
			}
			if n := len(s.Stored); (name == "everything" || name == "overlapping") != (n == 1001) || n != 1001 && n != 1 {
				t.Errorf("%s: %d samples are stored", name, n)
			}
		})
	}
}

// A receipt whose lists are of another form is a receipt all the same.
func TestReceiptsOfAnotherForm(t *testing.T) {
	header := http.Header{"Content-Type": {"application/json"}}
	for more, want := range map[string]bool{
		`"compare":"yes"`:                   false,
		`"compare":1,"missing":{"a":1}`:     false,
		`"missing":[[1,2],"x"]`:             false,
		`"missing":[[1e400,2]]`:             false,
		`"missing":[[1.5,2]]`:               false,
		`"missing":[[1]]`:                   true,
		`"missing":[[1,2,3]],"compare":1e9`: true,
		`"compare":null,"missing":null`:     false,
	} {
		got, why := receipt(header, []byte(`{"inserted":1,`+more+`}`), 1, "id")
		if why != "" || got.Inserted != 1 || got.Compare || (got.Missing != nil) != want {
			t.Errorf("%s: %+v, %s", more, got, why)
		}
	}
	if _, why := receipt(header, []byte(`{"inserted":1,"missing":[`+strings.Repeat("[1,2],", 1_000_000)+`[1,2]]}`), 1, "id"); why == "" {
		t.Error("a million spans are taken")
	}
}

// What the server rejects of it is counted and left; it does not make the spool's samples wait.
func TestRejectedCopiesAreLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(uploadtest.Server)
		u, _ := keeping(t, s, 720)
		s.Stored = map[int64]wire.Sample{}
		s.Bad = func(x wire.Sample) string {
			if x.Time.Minute() == 30 {
				return wire.CodeTooDense
			}
			return ""
		}
		first := true
		s.Amend = func(b wire.Batch, r *wire.Receipt) { // as ours does: it counts, each time
			r.Compare = first || b.Kept == nil && len(b.Samples) == 1
			if first = false; b.Kept == nil {
				return
			}
			for _, pair := range b.Kept.Hours {
				n := int64(0)
				for ms := range s.Stored {
					if ms >= pair[0] && ms < pair[0]+3600_000 {
						n++
					}
				}
				if n < pair[1] {
					r.Missing = append(r.Missing, [2]int64{pair[0], pair[0] + 3600_000})
				}
			}
		}
		for i := range 5 {
			one(t, u, noon.Add(time.Duration(2*3600+i)*time.Second))
			refillAll(t, u, time.Hour)
		}
		if n := u.RefillRejected.Load(); n != 2*6 || len(s.Stored) != 720-12+5 || u.Spool.InQuarantine() != 0 || u.SuspectSamples() != 0 {
			t.Errorf("%d rejected, %d stored, %d in quarantine", n, len(s.Stored), u.Spool.InQuarantine())
		}
	})
}

// A server that is busy, or fails, gets pauses, and after some tries it is left alone until it asks again.
func TestRefillIsGivenUp(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"busy": func() (*http.Response, error) { return uploadtest.Answer(503, `{"detail":"busy","code":"busy"}`), nil },
		"refused": func() (*http.Response, error) {
			return uploadtest.Answer(422, `{"detail":"no","code":"kept_invalid"}`), nil
		},
		"denied": func() (*http.Response, error) {
			return uploadtest.Answer(403, `{"detail":"no","code":"foreign_device"}`), nil
		},
		"too large": func() (*http.Response, error) {
			return uploadtest.Answer(413, `{"detail":"no","code":"too_large"}`), nil
		},
		"another one": func() (*http.Response, error) { return uploadtest.Answer(200, `<html>`), nil },
		"cut off":     func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(uploadtest.Server)
			u, log := keeping(t, s, 720)
			asking(s, func(*wire.Kept) [][2]int64 { return [][2]int64{{0, math.MaxInt64}} })
			one(t, u, noon.Add(3*time.Hour))
			tries := 0
			u.Client.Transport = uploadtest.Tripper(func(r *http.Request) (*http.Response, error) {
				tries++
				return answer()
			})
			refillAll(t, u, 2*time.Hour)
			if tries != refillTries || strings.Count(log.String(), "level=WARN") != 1 {
				t.Errorf("%s: %d tries, log:\n%s", name, tries, log)
			}
			u.Client.Transport = s
			one(t, u, noon.Add(4*time.Hour))
			if u.Spool.Waiting() != 0 || u.Backoff.Failures() != 0 {
				t.Errorf("%s: %d samples wait after it", name, u.Spool.Waiting())
			}
		})
	}
}
