#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "preload/traffic/connection.h"

namespace leaktrace::preload {
namespace {

unsigned Receive(Connection& connection, std::string_view text) {
  return connection.Receive(reinterpret_cast<const unsigned char*>(text.data()), text.size());
}

// The same bytes at once and one by one must give the same count.
unsigned Count(std::string_view text) {
  Connection whole, split;
  whole.Accept();
  split.Accept();
  const unsigned requests = Receive(whole, text);
  unsigned one_by_one = 0;
  for (const char& c : text) one_by_one += Receive(split, std::string_view(&c, 1));
  EXPECT_EQ(requests, one_by_one);
  return requests;
}

constexpr std::string_view kGet = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";

TEST(Traffic, ARequestIsCountedWhenItsHeadIsComplete) {
  EXPECT_EQ(Count(kGet), 1u);
  EXPECT_EQ(Count(kGet.substr(0, kGet.size() - 1)), 0u);
}

TEST(Traffic, PipelinedRequestsAreCountedOneByOne) {
  EXPECT_EQ(Count(std::string(kGet) + std::string(kGet) + std::string(kGet)), 3u);
}

TEST(Traffic, ABodyIsNoRequest) {
  EXPECT_EQ(Count(std::string("POST /u HTTP/1.1\r\nContent-Length: ") + std::to_string(kGet.size()) + "\r\n\r\n" +
                  std::string(kGet) + std::string(kGet)),
            2u);
}

TEST(Traffic, ChunksAreNoRequests) {
  EXPECT_EQ(Count("POST /u HTTP/1.1\r\nTRANSFER-ENCODING: gzip, Chunked\r\n\r\n"
                  "1a;extension=1\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n" +
                  std::string(kGet)),
            2u);
}

TEST(Traffic, BareLineFeedsAndLeadingEmptyLines) {
  EXPECT_EQ(Count("\r\n\r\nGET / HTTP/1.0\nHost: a\n\nGET / HTTP/1.0\n\n"), 2u);
}

TEST(Traffic, AfterAnUpgradeToWebSocketNothingIsCounted) {
  EXPECT_EQ(Count("GET /ws HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + std::string(kGet)), 1u);
}

TEST(Traffic, Http2CountsNewStreams) {
  auto frame = [](unsigned type, unsigned stream, std::string payload) {
    std::string header = {0, 0, static_cast<char>(payload.size()), static_cast<char>(type), 4, 0,
                          0, 0, static_cast<char>(stream)};
    return header + payload;
  };
  EXPECT_EQ(Count("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, "") + frame(1, 1, "abc") + frame(0, 1, "body") +
                  frame(1, 1, "trailer") + frame(1, 3, "x")),
            2u);
}

std::string Record(char type, std::size_t bytes) {
  return std::string({type, 3, 3, static_cast<char>(bytes >> 8), static_cast<char>(bytes & 0xff)}) +
         std::string(bytes, 'x');
}

TEST(Traffic, Tls13CountsApplicationDataAfterTheHandshake) {
  Connection connection;
  connection.Accept();
  EXPECT_EQ(Receive(connection, Record(22, 500)), 0u) << "ClientHello";
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(20, 1) + Record(23, 53)), 0u) << "ChangeCipherSpec and Finished";
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(23, 100)), 1u);
  EXPECT_EQ(Receive(connection, Record(23, 1000)), 0u) << "more of the same request";
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(23, 100)), 1u);
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(23, 19)), 0u) << "close_notify";
}

TEST(Traffic, Tls13FinishedAndRequestInOneRead) {
  Connection connection;
  connection.Accept();
  Receive(connection, Record(22, 500));
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(20, 1) + Record(23, 53) + Record(23, 100)), 1u);
}

TEST(Traffic, Tls12HandshakeIsNoRequest) {
  Connection connection;
  connection.Accept();
  Receive(connection, Record(22, 200));
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(22, 70) + Record(20, 1) + Record(22, 40)), 0u);
  connection.Send();
  EXPECT_EQ(Receive(connection, Record(23, 100)), 1u);
}

TEST(Traffic, AnUnknownProtocolCountsRuns) {
  Connection connection;
  connection.Accept();
  EXPECT_EQ(Receive(connection, "\x01\x02"), 1u);
  EXPECT_EQ(Receive(connection, "\x03"), 0u);
  connection.Send();
  EXPECT_EQ(Receive(connection, "\x01\x02"), 1u);
}

TEST(Traffic, AClosedDescriptorIsNoConnection) {
  Connection connection;
  EXPECT_FALSE(connection.IsOpen());
  connection.Accept();
  EXPECT_TRUE(connection.IsOpen());
  connection.Close();
  EXPECT_EQ(Receive(connection, kGet), 0u);
}

}  // namespace
}  // namespace leaktrace::preload
