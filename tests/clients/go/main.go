package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	api "github.com/GIT_USER_ID/GIT_REPO_ID"
)

func must[T any](value T, _ *http.Response, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func body() []api.SessionToRecord {
	begin := time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC)
	var sessions []api.SessionToRecord
	for index, amount := range []int64{4990, 9007199254740991, 0, -3_000_000_000} {
		status := []api.SessionStatus{api.COMPLETED, api.MISSED}[index%2]
		created := begin.Add(time.Duration(index) * time.Microsecond)
		session := api.NewSessionToRecord(api.VIDEO, created, begin.Add(5*time.Minute), status)
		session.SetExternalId(fmt.Sprintf("call-%d", index))
		if amount != 0 {
			session.SetOrderValueMinor(amount)
		}
		sessions = append(sessions, *session)
	}
	return sessions
}

func main() {
	configuration := api.NewConfiguration()
	configuration.Servers = api.ServerConfigurations{{URL: os.Getenv("UPTOK_URL")}}
	ctx := context.WithValue(context.Background(), api.ContextAccessToken, os.Getenv("UPTOK_API_KEY"))
	client := api.NewAPIClient(configuration)
	sessions, keys := client.SessionsAPI, client.KeysAPI

	recorded := must(sessions.RecordSessions(ctx).SessionToRecord(body()).IdempotencyKey("go").Execute())
	var found []api.Session
	for request := sessions.ListSessions(ctx).PerPage(3); ; {
		page := must(request.Execute())
		found = append(found, page.Data...)
		if page.NextCursor == nil {
			break
		}
		request = request.Cursor(*page.NextCursor)
	}
	missed := must(sessions.ListSessions(ctx).Status(api.MISSED).UpdatedSince(found[0].UpdatedAt).Execute())
	form := must(sessions.ExportSessions(ctx).Page(2).PerPage(3).Order("asc").Status("missed").Execute())
	file := must(sessions.DownloadSessionsCsv(ctx).Execute())
	lines := strings.Count(file, "\r\n")
	if recorded.Created != 4 || missed.TotalSessions != 2 || form.TotalSessions != 2 || lines != 5 {
		panic(fmt.Sprint(recorded.Created, missed.TotalSessions, form.TotalSessions, lines))
	}

	request := api.NewCreateKeyRequest("generated", []api.Scope{api.SESSIONS_READ})
	created := must(keys.CreateKey(ctx).CreateKeyRequest(*request).Execute())
	change := api.NewChangeKeyRequest()
	change.SetRequestsPerMinute(60)
	must(keys.ChangeKey(ctx, created.PublicKey).ChangeKeyRequest(*change).Execute())
	if _, err := keys.RevokeKey(ctx).ClientKey(created.ClientKey).Execute(); err != nil {
		panic(err)
	}
	if _, answer, _ := keys.GetKey(ctx, created.PublicKey).Execute(); answer.StatusCode != http.StatusNotFound {
		panic(answer.Status)
	}

	var total, nulls int64
	for _, session := range found {
		if amount := session.OrderValueMinor.Get(); amount != nil {
			total += *amount
		} else {
			nulls++
		}
	}
	fmt.Println(len(found), total, nulls, found[1].CreatedAt.Nanosecond()/1000)
}
