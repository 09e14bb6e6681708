// SPDX-License-Identifier: PostgreSQL
#include "upkeep/capture/endpoint_tag.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "upkeep/base/text.h"

namespace upkeep::capture {
namespace {

/// The endpoint; "-": none.
std::string Told(std::string_view sql, SqlDialect dialect = SqlDialect::kPostgres) {
    EndpointName name;
    return FindEndpoint(sql, dialect, &name) ? std::string(name.view()) : "-";
}

struct Case {
    std::string_view sql;
    std::string_view endpoint;
};

void ExpectInBoth(std::span<const Case> cases) {
    for (const Case& one : cases) {
        EXPECT_EQ(Told(one.sql), one.endpoint) << one.sql;
        EXPECT_EQ(Told(one.sql, SqlDialect::kSqlite), one.endpoint) << one.sql;
    }
}

TEST(EndpointTagTest, ReadsSqlCommenter) {
    const Case cases[] = {
        {"SELECT 1 /*route='%2Fusers%2F%3Aid'*/", "/users/:id"},
        {"SELECT 1 /*action='index',controller='users',framework='rails%3A7.1'*/", "users#index"},
        {"SELECT 1 /*action='index',controller='users',route='%2Fusers'*/", "/users"},
        {"SELECT 1 /*application='Shop',job='SyncJob'*/", "SyncJob"},
        {"SELECT 1 /*application='Shop',namespaced_controller='Admin%3A%3AUsers',action='show'*/",
         "Admin::Users#show"},
        {"SELECT 1 /*controller='users'*/", "users"},
        {"SELECT 1 /*action='show'*/", "show"},
        {"SELECT * FROM FOO /*action='%2Fparam*d',controller='index',framework='spring',"
         "traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01',"
         "tracestate='congo%3Dt61rcWkgMzE%2Crojo%3D00f067aa0ba902b7'*/",
         "index#/param*d"},
        {"SELECT 1 /* route = 'a' , db_driver = 'x' */ ", "a"},
        {"SELECT 1 /*route='a'*/;", "a"},
        {"SELECT 1; /*route='a'*/", "a"},
        {"SELECT 1 /*route='a'*/ ; \n\t", "a"},
        {"SELECT 1\n/*route='a'*/\n", "a"},
        {"/*route='a'*/ SELECT 1", "a"},
        {"SELECT 1 /*route='a%20b'*/", "a b"},
        {"SELECT 1 /*route='a+b'*/", "a+b"},
        {R"(SELECT 1 /*route='it\'s',x='1'*/)", "it's"},
        {R"(SELECT 1 /*route='a\\b'*/)", R"(a\\b)"},
        {"SELECT 1 /*route='%C3%A9'*/", "\xC3\xA9"},
        {"SELECT 1 /*route='%c3%a9'*/", "\xC3\xA9"},
        {"SELECT 1 /*route='/plain/path'*/", "/plain/path"},
        {"SELECT 1 /*route=/plain,x=1*/", "/plain"},
        {"SELECT 1 /*route='  a  '*/", "a"},
        {"SELECT 1 /*x%20y='1',route='a'*/", "a"},
        {"SELECT 1 /*tracestate='a--b',route='a'*/", "a"},
        {"SELECT '-- x' /*tracestate='a--b',route='a'*/", "a"},
        {"SELECT 1 /*route='first',route='second'*/", "first"},
        {"SELECT 1 /*route='',controller='c',action='a'*/", "c#a"},
    };
    ExpectInBoth(cases);
}

TEST(EndpointTagTest, ReadsMarginalia) {
    const Case cases[] = {
        {"SELECT 1 /*application:App,controller:users,action:show*/", "users#show"},
        {"/*application:App,controller:users,action:show*/ SELECT 1", "users#show"},
        {"SELECT 1 /*application:App,controller:users,action:show,"
         "line:/app/models/user.rb:12:in `block in find'*/",
         "users#show"},
        {"SELECT 1 "
         "/*application:App,controller_with_namespace:Admin::UsersController,action:show*/",
         "Admin::UsersController#show"},
        {"SELECT 1 /*application:App,job:MailJob*/", "MailJob"},
        {"SELECT 1 /*application:App,sidekiq_job:Hard::Worker*/", "Hard::Worker"},
        {"SELECT 1 /*application:'App',controller:'users',action:'show'*/", "users#show"},
        {"SELECT 1 /*controller:users,action:100%25*/", "users#100%25"},
        {"SELECT 1 /* action:destroy! , controller:users */", "users#destroy!"},
        {"SELECT 1 /*controller:users,action:,job:J*/", "J"},
    };
    ExpectInBoth(cases);
}

TEST(EndpointTagTest, LooksAtSeveralComments) {
    const Case cases[] = {
        {"SELECT 1 /*route='a'*/ /*route='b'*/", "b"},
        {"SELECT 1 /*route='a'*/ /* plain words */", "a"},
        {"SELECT 1 /*route='a'*/ /*+ IndexScan(t) */", "a"},
        {"/*+ IndexScan(t) */ /*route='a'*/ SELECT 1", "a"},
        {"/*route='a'*/ SELECT 1 /*route='b'*/", "b"},
        {"/*route='a'*/ SELECT 1 /* words */", "a"},
        {"SELECT 1 /*route='a'*/; /* words */ ;", "a"},
        {"SELECT 1 /**/ /*route='a'*//**/", "a"},
    };
    ExpectInBoth(cases);
}

TEST(EndpointTagTest, IsNotFooled) {
    const Case cases[] = {
        {"", "-"},
        {" ;", "-"},
        {"SELECT 1", "-"},
        {"SELECT 1 /* plain words */", "-"},
        {"SELECT 1 /* the route: over there */", "-"},
        {"SELECT 1 /* see action: none, or so */", "-"},
        {"SELECT 1 /* route='a' and more */", "-"},
        {"SELECT 1 /*+ route='a' */", "-"},
        {"SELECT 1 /*! route='a' */", "-"},
        {"SELECT /*route='a'*/ 1", "-"},
        {"SELECT '/*route=''a''*/'", "-"},
        {"SELECT 1 AS \"/*route='a'*/\"", "-"},
        {"SELECT '/*controller:secret,action:x' /* words */", "-"},
        {"SELECT '/*controller:secret,line:', 1 -- */", "-"},
        {"SELECT '/*controller:secret,line:' -- words */\n/* words */", "-"},
        {"SELECT 'a' -- it's over /* here */", "-"},
        {"SELECT 1 /*route='a*/", "-"},
        {"SELECT 1 /*route='a'x*/", "-"},
        {"SELECT 1 /*route='a',*/", "-"},
        {"SELECT 1 /*,route='a'*/", "-"},
        {"SELECT 1 /*route*/", "-"},
        {"SELECT 1 /*route=*/", "-"},
        {"SELECT 1 /*route=''*/", "-"},
        {"SELECT 1 /*='a'*/", "-"},
        {"SELECT 1 /*route='it''s'*/", "-"},
        {"SELECT 1 /*framework='django',db_driver='psycopg2'*/", "-"},
        {"SELECT 1 /*Route='a'*/", "-"},
        {"SELECT 1 /*route='%'*/", "-"},
        {"SELECT 1 /*route='%4'*/", "-"},
        {"SELECT 1 /*route='%zz'*/", "-"},
        {"SELECT 1 /*x='%zz',route='a'*/", "-"},
        {"SELECT 1 /*route='%00'*/", "-"},
        {"SELECT 1 /*route='a%0Ab'*/", "-"},
        {"SELECT 1 /*route='a%7F'*/", "-"},
        {"SELECT 1 /*route='%C2%85'*/", "-"},
        {"SELECT 1 /*route='%FF'*/", "-"},
        {"SELECT 1 /*route='%C3'*/", "-"},
        {"SELECT 1 /*route='\xC3'*/", "-"},
        {"SELECT 1 /*route='%ED%A0%80'*/", "-"},
        {"SELECT 1 /*controller:users,\naction:show\n,line:a\nb*/", "-"},
        {"SELECT 1 /*controller:a b,action:c*/", "-"},
        {"SELECT 1 /*/", "-"},
        {"/*/", "-"},
        {"/**/", "-"},
        {"*/", "-"},
        {"/* route='a'", "-"},
        {"SELECT 1 */", "-"},
    };
    ExpectInBoth(cases);
}

TEST(EndpointTagTest, KnowsEachHostsQuotesAndNesting) {
    EXPECT_EQ(Told("SELECT $$/*route='a'*/$$"), "-");
    EXPECT_EQ(Told("SELECT $$/*controller:secret,x:$$--*/"), "-");
    EXPECT_EQ(Told("SELECT 1 /* a /*route='a'*/ */"), "-") << "it nests: one comment of words";
    EXPECT_EQ(Told("/* a /* b */ route='a' */ SELECT 1"), "-");
    EXPECT_EQ(Told("/* a /* b */ */ /*route='a'*/ SELECT 1"), "a");
    EXPECT_EQ(Told("SELECT [/*route='a'*/]", SqlDialect::kSqlite), "-");
    EXPECT_EQ(Told("SELECT `/*route='a'*/`", SqlDialect::kSqlite), "-");
    EXPECT_EQ(Told("/* a /* b */ SELECT 1 /*route='a'*/", SqlDialect::kSqlite), "a");
}

TEST(EndpointTagTest, LeavesQueryStringsOutAndCutsAtACharacter) {
    const Case cases[] = {
        {"SELECT 1 /*route='%2Fusers%3Femail%3Dbob%40example.org'*/", "/users"},
        {"SELECT 1 /*route='/users?email=bob'*/", "/users"},
        {"SELECT 1 /*route='/users?$filter=bob'*/", "/users"},
        {"SELECT 1 /*route='?email=bob'*/", "-"},
        {"SELECT 1 /*route='^polls/(?P<pk>[0-9]+)/?$'*/", "^polls/(?P<pk>[0-9]+)/?$"},
        {"SELECT 1 /*route='^polls/(?P<pk>[0-9]+)/?q=bob'*/", "^polls/(?P<pk>[0-9]+)/"},
        {"SELECT 1 /*controller='users',action='active?'*/", "users#active?"},
    };
    ExpectInBoth(cases);
    const std::string long_one =
        "SELECT 1 /*route='" + std::string(127, 'a') + "\xC3\xA9" + std::string(500, 'b') + "'*/";
    EXPECT_EQ(Told(long_one), std::string(127, 'a'));
    EXPECT_EQ(Told("SELECT 1 /*controller='" + std::string(200, 'c') + "',action='x'*/"),
              std::string(128, 'c'));
    EXPECT_EQ(Told("SELECT 1 /*route='a',x='" + std::string(5000, 'x') + "'*/"), "-")
        << "no tag is that long";
}

TEST(EndpointTagTest, LooksAtTheEndsOnly) {
    EXPECT_FALSE(MayCarryTag("SELECT 1 /* x */ + 1;"));
    EXPECT_TRUE(MayCarryTag("SELECT 1 /* x */ ; \n"));
    EXPECT_TRUE(MayCarryTag(" \n/* x */ SELECT 1"));
    std::string many = "SELECT 1";
    for (int i = 0; i < 100; ++i) {
        many += " /* words */";
    }
    EXPECT_EQ(Told(many), "-");
    EXPECT_EQ(Told(many + "/*route='a'*/"), "a");
}

TEST(EndpointTagTest, TellsWhatIsBetweenTheComments) {
    EdgeComments comments("/*a*/ COMMIT /*b*/ ; /*c*/", SqlDialect::kPostgres);
    std::string seen;
    for (std::string_view one = comments.Next(); !one.empty(); one = comments.Next()) {
        seen += one;
    }
    EXPECT_EQ(seen, "/*c*//*b*//*a*/");
    EXPECT_EQ(comments.Between(), "COMMIT");
    for (const std::string_view only : {"", " ; ", "/*a*/", ";-- x", "-- x\n/* /* */ */;"}) {
        EXPECT_TRUE(IsOnlyComments(only, SqlDialect::kPostgres)) << only;
    }
    for (const std::string_view more : {"x", "/*a*/x", "/", "-", "-- x\ny"}) {
        EXPECT_FALSE(IsOnlyComments(more, SqlDialect::kPostgres)) << more;
    }
}

}  // namespace
}  // namespace upkeep::capture
